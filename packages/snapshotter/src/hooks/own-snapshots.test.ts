import { ownSnapshotPrefix, snapshotKey, type SnapshotInfo, type Snapshotter } from "@aeon/core";
import { expect, test } from "vitest";
import { callBy, key } from "../../test/support/call.ts";
import { MemorySnapshotter } from "../../test/support/memory-snapshotter.ts";
import { ownSnapshots } from "./own-snapshots.ts";
import { createHookPipeline } from "./pipeline.ts";

const gc = callBy({});

async function namesIn(infos: AsyncIterable<SnapshotInfo>): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of infos) names.push(name);
  return names;
}

test("a plugin's own snapshots are neither shown to the garbage collector nor removed for it", async () => {
  const backend: Snapshotter = new MemorySnapshotter();
  const pipeline = createHookPipeline({ backend });
  pipeline.register(ownSnapshots);
  const own = snapshotKey(`${ownSnapshotPrefix}layer`);
  await backend.prepare({ key: own, labels: {} }, gc);
  await pipeline.prepare({ key: key("theirs"), labels: {} }, gc);
  expect(await namesIn(await pipeline.list({ filters: [] }, gc))).toEqual([key("theirs")]);
  expect(await namesIn(await backend.list({ filters: [] }, gc))).toContain(own);
  await expect(pipeline.remove({ key: own }, gc)).rejects.toMatchObject({
    code: "failed-precondition",
    reason: "SNAPSHOT_PRIVATE",
  });
  await backend.remove({ key: own }, gc);
  await pipeline.remove({ key: key("theirs") }, gc);
});
