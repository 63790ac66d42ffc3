import type { SnapshotHook, Snapshotter } from "@aeon/core";
import { createHookPipeline, type HookPipeline } from "../../src/hooks/pipeline.ts";
import { callBy, key } from "./call.ts";
import { MemorySnapshotter } from "./memory-snapshotter.ts";

/** A hook with the functions of the test, that must succeed within a second unless the test says otherwise. */
export const hook = (name: string, parts: Partial<SnapshotHook>): SnapshotHook => ({
  name,
  timeoutMs: 1000,
  onFailure: "fail",
  ...parts,
});

/** The hooks in the order of registration, before a snapshotter in memory. */
export const pipelineWith = (...hooks: SnapshotHook[]): HookPipeline => {
  const pipeline = createHookPipeline({ backend: new MemorySnapshotter() });
  for (const each of hooks) pipeline.register(each);
  return pipeline;
};

/** Prepares a snapshot without parent. */
export const prepare = (pipeline: Snapshotter, name = "a") =>
  pipeline.prepare({ key: key(name), labels: {} }, callBy());

/** What a function that hangs returns. */
export const never = () => new Promise<undefined>(() => {});
