import type { ContainerEntry, ContainerId, ContainerRegistry, Labels, Snapshotter } from "@aeon/core";
import { statSnapshot } from "./find-layer.ts";
import type { Pods } from "./pods.ts";
import { mustKeep, type DefaultPolicy } from "./policy.ts";
import { mayWrite, type Tasks } from "./tasks.ts";

/** A running container that is kept, with the labels of its pod. */
export interface KeptContainer extends ContainerEntry {
  readonly containerId: ContainerId;
  readonly podLabels: Labels;
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
  { policy, registry, backend, pods, tasks }: KeptContainersParts,
  signal: AbortSignal,
): Promise<readonly KeptContainer[]> {
  const found: KeptContainer[] = [];
  for (const entry of registry?.list() ?? []) {
    const { snapshotKey: key, containerId, namespace, exit } = entry;
    if (containerId === undefined || exit !== undefined || entry.sandbox || backend === undefined) continue;
    const info = await statSnapshot(key, { backend, caller: {}, signal });
    const podLabels = pods.labelsOf(entry);
    if (info?.kind !== "active" || !mustKeep({ policy, entry, snapshotLabels: info.labels, podLabels }))
      continue;
    if (tasks !== undefined && !mayWrite(await tasks.state(namespace, containerId, signal))) continue;
    found.push({ ...entry, containerId, podLabels });
  }
  return found;
}
