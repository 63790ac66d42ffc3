import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { containerId, namespace, type ContainerEntry, type SnapshotKey, type Snapshotter } from "@aeon/core";
import { onTestFinished } from "vitest";
import { createHookPipeline } from "../../src/hooks/pipeline.ts";
import { openContainerRegistry, type OpenContainerRegistry } from "../../src/registry/container-registry.ts";
import { callBy, key } from "./call.ts";
import { MemorySnapshotter } from "./memory-snapshotter.ts";
import { ScriptedSource } from "./scripted-source.ts";

export const k8s = namespace("k8s.io");
export const podLabels = {
  "io.kubernetes.pod.name": "web",
  "io.kubernetes.pod.namespace": "shop",
  "io.kubernetes.pod.uid": "u1",
  "io.kubernetes.container.name": "main",
};
/** In nanoseconds. */
export const second = 1_000_000_000n;

/** A registry with a snapshotter and a containerd in memory, and a clock that the test moves. */
export interface RegistryNode {
  readonly folder: string;
  readonly backend: MemorySnapshotter;
  readonly source: ScriptedSource;
  readonly registry: OpenContainerRegistry;
  readonly snapshotter: Snapshotter;
  readonly clock: { now: bigint };
}

/** Opens a node that ends with the test; with an earlier one, on its files. */
export function openNode(earlier: Partial<RegistryNode> = {}): RegistryNode {
  const folder = earlier.folder ?? testFolder();
  const backend = earlier.backend ?? new MemorySnapshotter();
  const source = earlier.source ?? new ScriptedSource();
  const clock = earlier.clock ?? { now: 1000n * second };
  const path = join(folder, "registry.db");
  const registry = openContainerRegistry({ path, backend, source, now: () => (clock.now += 1000n) });
  onTestFinished(() => registry[Symbol.asyncDispose]());
  const pipeline = createHookPipeline({ backend });
  for (const hook of registry.hooks) pipeline.register(hook);
  return { folder, backend, source, registry, snapshotter: pipeline, clock };
}

/** A folder that goes when the test ends. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "aeon-registry-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

export const prepare = (node: RegistryNode, name: string) =>
  node.snapshotter.prepare({ key: key(name), labels: {} }, callBy());

export const learn = (node: RegistryNode, name: string) =>
  node.registry.learn(key(name), new AbortController().signal);

export const entryOf = (node: RegistryNode, id: string): ContainerEntry | undefined =>
  node.registry.byContainer(k8s, containerId(id));

export const keysOf = (node: RegistryNode): SnapshotKey[] =>
  node.registry.list().map(({ snapshotKey }) => snapshotKey);
