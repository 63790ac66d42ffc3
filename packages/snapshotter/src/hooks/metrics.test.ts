import { setImmediate } from "node:timers/promises";
import { createMetrics, type SnapshotHook } from "@aeon/core";
import { expect, test } from "vitest";
import { callBy, key } from "../../test/support/call.ts";
import { MemorySnapshotter } from "../../test/support/memory-snapshotter.ts";
import { operationMetrics } from "./operation-metrics.ts";
import { createHookPipeline } from "./pipeline.ts";

test("operations are counted by outcome, hooks by what they do", async () => {
  const metrics = await createMetrics();
  const pipeline = createHookPipeline({ backend: new MemorySnapshotter(), metrics });
  pipeline.register(operationMetrics(metrics));
  const late = Promise.withResolvers<undefined>();
  const shaky: SnapshotHook = {
    name: "shaky",
    timeoutMs: 5,
    onFailure: "ignore",
    preStat: () => late.promise,
    postStat: async () => {
      throw new Error("no");
    },
  };
  pipeline.register(shaky);
  await expect(pipeline.stat({ key: key("gone") }, callBy())).rejects.toThrow("gone");
  let text = await metrics.text();
  expect(text).toContain(
    'aeon_snapshot_operation_duration_seconds_count{operation="stat",code="not-found"} 1',
  );
  expect(text).toContain('aeon_snapshot_hook_duration_seconds_count{hook="metrics",function="postStat"} 1');
  expect(text).toContain(
    'aeon_snapshot_hook_failures_total{hook="shaky",function="preStat",cause="timed-out"} 1',
  );
  expect(text).toContain(
    'aeon_snapshot_hook_failures_total{hook="shaky",function="postStat",cause="threw"} 1',
  );
  expect(text).toContain('aeon_snapshot_hook_unsettled{hook="shaky",function="preStat"} 1');
  late.resolve(undefined);
  await setImmediate();
  text = await metrics.text();
  expect(text).toContain('aeon_snapshot_hook_late_results_total{hook="shaky",function="preStat"} 1');
  expect(text).toContain('aeon_snapshot_hook_unsettled{hook="shaky",function="preStat"} 0');
});
