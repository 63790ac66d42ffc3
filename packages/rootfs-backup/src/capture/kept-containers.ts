import type { ContainerEntry, ContainerId, ContainerRegistry, Snapshotter } from "@aeon/core";
import { statSnapshot } from "./find-layer.ts";
import type { Pods } from "./pods.ts";
import { mustKeep, type DefaultPolicy } from "./policy.ts";
import { mayWrite, type Tasks } from "./tasks.ts";

/** A running container that is kept. */
export interface KeptContainer extends ContainerEntry {
  readonly containerId: ContainerId;
}

export interface KeptContainersParts {
  readonly policy: DefaultPolicy;
  readonly registry: ContainerRegistry | undefined;
  readonly backend: Snapshotter | undefined;
  readonly pods: Pods;
  readonly tasks: Tasks | undefined;
}

/** The containers that run now and whose files are kept. */
export async function keptContainers(
  parts: KeptContainersParts,
  signal: AbortSignal,
): Promise<readonly KeptContainer[]> {
  const found: KeptContainer[] = [];
  for (const entry of parts.registry?.list() ?? []) {
    const kept = await keptContainer(parts, entry, signal);
    if (kept !== undefined) found.push(kept);
  }
  return found;
}

/** The container if it runs now and its files are kept. */
export async function keptContainer(
  { policy, backend, pods, tasks }: KeptContainersParts,
  entry: ContainerEntry,
  signal: AbortSignal,
): Promise<KeptContainer | undefined> {
  const { snapshotKey: key, containerId, namespace, exit } = entry;
  if (containerId === undefined || exit !== undefined || entry.sandbox || backend === undefined)
    return undefined;
  const info = await statSnapshot(key, { backend, caller: {}, signal });
  const podLabels = pods.labelsOf(entry);
  if (info?.kind !== "active" || !mustKeep({ policy, entry, snapshotLabels: info.labels, podLabels }))
    return undefined;
  if (tasks !== undefined && !mayWrite(await tasks.state(namespace, containerId, signal))) return undefined;
  return { ...entry, containerId };
}
