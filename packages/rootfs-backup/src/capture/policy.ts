import type { ContainerEntry, Labels } from "@aeon/core";
import {
  containersLabel,
  enabledLabel,
  excludeContainersLabel,
  onExitLabel,
  onRestartLabel,
} from "./labels.ts";

/** Which containers are kept when nothing else is said. */
export type DefaultPolicy = "label" | "all" | "none";

/** What a container gets that is started again in its pod: its predecessor's files, or none. */
export type OnRestart = "keep" | "fresh";

export interface PolicyInput {
  readonly policy: DefaultPolicy;
  /** Undefined when nothing is known of the container. */
  readonly entry: ContainerEntry | undefined;
  readonly snapshotLabels: Labels;
  /** Of the container's pod; they are on its sandbox. */
  readonly podLabels: Labels;
}

/** Whether a container's writable layer has to be kept. The nearest label decides: container, snapshot, pod, policy. */
export function mustKeep({ policy, entry, snapshotLabels, podLabels }: PolicyInput): boolean {
  if (policy === "none" || entry?.sandbox === true) return false;
  const own = entry?.labels[enabledLabel] ?? snapshotLabels[enabledLabel];
  if (own !== undefined) return own === "true";
  const chosen = chosenBy(podLabels, entry?.pod?.container);
  if (chosen === false) return false;
  const pod = podLabels[enabledLabel];
  return pod === undefined ? chosen === true || policy === "all" : pod === "true";
}

/** Whether a pod names the container among those to keep or to leave out; undefined when it says nothing. */
function chosenBy(podLabels: Labels, name: string | undefined): boolean | undefined {
  if (name === undefined) return undefined;
  if (namesIn(podLabels[excludeContainersLabel])?.includes(name) === true) return false;
  return namesIn(podLabels[containersLabel])?.includes(name);
}

/** Names of containers hold no dot, and values of Kubernetes' labels no comma. */
const namesIn = (value: string | undefined): readonly string[] | undefined =>
  value?.split(/[\s,.]+/).filter((name) => name !== "");

/** When the files of a container that ended are packed: at once, or when it is removed. */
export type OnExit = "capture" | "wait";

/**
 * When the files of an ended container are packed. The nearest label decides: container, pod, configuration. A
 * container in no pod may be started again, unless its own label says that it is not.
 */
export function onExitOf(
  { labels, pod }: Pick<ContainerEntry, "labels" | "pod">,
  podLabels: Labels,
  otherwise: OnExit,
): OnExit {
  const said = labels[onExitLabel] ?? podLabels[onExitLabel];
  return said === "capture" || said === "wait" ? said : pod === undefined ? "wait" : otherwise;
}

/** What a restarted container gets. The nearest label decides: container, pod, configuration. */
export function onRestartOf(labels: Labels, podLabels: Labels, otherwise: OnRestart): OnRestart {
  const said = labels[onRestartLabel] ?? podLabels[onRestartLabel];
  return said === "keep" || said === "fresh" ? said : otherwise;
}
