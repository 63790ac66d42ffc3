import { admin } from "@aeon/proto";
import { formatTable, type Column } from "../format/table.ts";
import type { Style } from "../format/style.ts";
import { enumName } from "./enum-name.ts";
import { isoTime, shortTime } from "./timestamp.ts";

/** The Kubernetes pod of a container. */
export interface PodView {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly container: string;
}

export const podView = (pod: admin.Pod | undefined): PodView | null =>
  pod === undefined
    ? null
    : { namespace: pod.namespace, name: pod.name, uid: pod.uid, container: pod.container };

/** How a container ended. */
export interface ExitView {
  readonly code: number;
  readonly at: string | null;
}

export const exitView = (exit: admin.Exit | undefined): ExitView | null =>
  exit === undefined ? null : { code: exit.code, at: isoTime(exit.at) };

/** One entry of `aeonctl containers ls`. */
export interface ContainerView {
  readonly namespace: string;
  readonly id: string | null;
  /** `preparing`, `restoring`, `ready`, `backing-up`, `backed-up` or `failed`. */
  readonly state: string;
  readonly failure: string | null;
  readonly image: string | null;
  readonly pod: PodView | null;
  readonly sandbox: boolean;
  readonly snapshotKey: string;
  readonly upperdir: string | null;
  readonly exit: ExitView | null;
  /** True once the kernel killed a process of the container for want of memory. */
  readonly outOfMemory: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: string | null;
  readonly updatedAt: string | null;
}

export const containerView = (container: admin.Container): ContainerView => ({
  namespace: container.namespace,
  id: container.containerId || null,
  state: enumName(admin.ContainerState, container.state),
  failure: container.failure || null,
  image: container.image || null,
  pod: podView(container.pod),
  sandbox: container.sandbox,
  snapshotKey: container.snapshotKey,
  upperdir: container.upperdir || null,
  exit: exitView(container.exit),
  outOfMemory: container.outOfMemory,
  labels: container.labels,
  createdAt: isoTime(container.createdAt),
  updatedAt: isoTime(container.updatedAt),
});

export const podText = (pod: PodView | null): string | null =>
  pod === null ? null : `${pod.namespace}/${pod.name}/${pod.container}`;

const columns: readonly Column<ContainerView>[] = [
  { title: "NAMESPACE", text: ({ namespace }) => namespace },
  { title: "CONTAINER", text: ({ id }) => id },
  {
    title: "STATE",
    text: ({ state }) => state,
    paint: (text, { state }, style) =>
      state === "failed" ? style.bad(text) : state === "ready" ? style.good(text) : style.busy(text),
  },
  {
    title: "EXIT",
    text: ({ exit, outOfMemory }) => (exit === null ? null : `${exit.code}${outOfMemory ? " (OOM)" : ""}`),
    align: "right",
  },
  { title: "CREATED", text: ({ createdAt }) => shortTime(createdAt) },
  { title: "IMAGE", text: ({ image }) => image },
  { title: "POD", text: ({ pod }) => podText(pod) },
  { title: "FAILURE", text: ({ failure }) => failure },
];

export const containerTable = (views: readonly ContainerView[], style: Style): string =>
  formatTable(views, columns, style);
