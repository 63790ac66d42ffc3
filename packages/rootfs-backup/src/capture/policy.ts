import type { ContainerEntry, Labels } from "@aeon/core";

/** Which containers are kept when nothing else is said. */
export type DefaultPolicy = "label" | "all" | "none";

/** On a container, its pod or its snapshot: `"true"` keeps the files, `"false"` does not, whatever the policy. */
export const enabledLabel = "backup.container.io/enabled";

export interface PolicyInput {
  readonly policy: DefaultPolicy;
  /** Undefined when nothing is known of the container. */
  readonly entry: ContainerEntry | undefined;
  readonly snapshotLabels: Labels;
  /** Whether the container's pod asks for backups; its labels are on its sandbox. */
  readonly podEnabled: boolean;
}

/** Whether a container's writable layer has to be kept. The nearest label decides: container, snapshot, pod, policy. */
export function mustKeep({ policy, entry, snapshotLabels, podEnabled }: PolicyInput): boolean {
  if (policy === "none" || entry?.sandbox === true) return false;
  const own = entry?.labels[enabledLabel] ?? snapshotLabels[enabledLabel];
  if (own !== undefined) return own === "true";
  return podEnabled || policy === "all";
}
