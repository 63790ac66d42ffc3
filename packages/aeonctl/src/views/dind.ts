import type { dind } from "@aeon/proto";
import { formatTable, type Column } from "../format/table.ts";
import type { Style } from "../format/style.ts";
import { isoTime, shortTime } from "./timestamp.ts";

/** One entry of `aeonctl dind ls`. */
export interface DindView {
  readonly namespace: string;
  readonly container: string;
  /** `armed`, `starting`, `running`, `unhealthy`, `restarting`, `stopped` or `removing`. */
  readonly state: string;
  readonly reason: string | null;
  readonly restarts: number;
  /** containerd id of the DinD container. */
  readonly dind: string;
  readonly pid: number | null;
  readonly since: string | null;
  /** `user-namespace` or `reduced-privileges`. */
  readonly isolation: string | null;
  /** Why it is in no user namespace of a pod. */
  readonly isolationReason: string | null;
}

export const dindView = (entry: dind.Dind): DindView => ({
  namespace: entry.main?.namespace ?? "",
  container: entry.main?.containerId ?? "",
  state: entry.state,
  reason: entry.reason || null,
  restarts: entry.restarts,
  dind: entry.container,
  pid: entry.pid || null,
  since: isoTime(entry.since),
  isolation: entry.isolation || null,
  isolationReason: entry.isolationReason || null,
});

const columns: readonly Column<DindView>[] = [
  { title: "NAMESPACE", text: ({ namespace }) => namespace },
  { title: "CONTAINER", text: ({ container }) => container },
  {
    title: "STATE",
    text: ({ state }) => state,
    paint: (text, { state }, style) => (state === "running" ? style.good(text) : style.busy(text)),
  },
  { title: "RESTARTS", text: ({ restarts }) => String(restarts), align: "right" },
  { title: "SINCE", text: ({ since }) => shortTime(since) },
  { title: "DIND", text: (view) => view.dind },
  { title: "ISOLATION", text: ({ isolation }) => isolation },
  { title: "REASON", text: ({ reason }) => reason },
];

export const dindTable = (views: readonly DindView[], style: Style): string =>
  formatTable(views, columns, style);

/** One line of `aeonctl dind show-config`. */
export interface DindSettingView {
  readonly key: string;
  readonly value: unknown;
  readonly source: string;
  /** A running dockerd takes a change over without a restart. */
  readonly live: boolean;
}

export const dindSettingView = ({ key, value, source, live }: dind.DindSetting): DindSettingView => ({
  key,
  value: parse(value),
  source,
  live,
});

const settingColumns: readonly Column<DindSettingView>[] = [
  { title: "KEY", text: ({ key }) => key },
  { title: "VALUE", text: ({ value }) => (typeof value === "string" ? value : JSON.stringify(value)) },
  { title: "FROM", text: ({ source }) => source },
  { title: "A CHANGE NEEDS", text: ({ live }) => (live ? "nothing" : "dind restart") },
];

export const dindSettingTable = (views: readonly DindSettingView[], style: Style): string =>
  formatTable(views, settingColumns, style);

function parse(json: string): unknown {
  return JSON.parse(json);
}
