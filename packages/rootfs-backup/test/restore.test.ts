import type { BackupId } from "@aeon/core";
import { difference } from "@aeon/testkit";
import { expect, test } from "vitest";
import { cycle, makeImage, mess, type Ran } from "./containers.ts";
import { call, startNode } from "./node.ts";
import { scratch } from "./scratch.ts";

test.for([8, 2])(
  "files go back and forth between two nodes, cycle after cycle, in chains of at most %d layers",
  { timeout: 240_000 },
  async (depth) => {
    using dir = scratch();
    const config = { store: { path: dir.at("store") }, "squash-depth": depth } as const;
    await using first = await startNode({ root: dir.at("first"), config });
    await using second = await startNode({ root: dir.at("second"), config });
    const nodes = [first, second];
    const parents = [await makeImage(first, dir), await makeImage(second, dir)];
    const differences: string[][] = [];
    const chains: number[] = [];
    let [last, from]: [Ran | undefined, BackupId | undefined] = [undefined, undefined];
    for (let step = 0; step < 6; step += 1) {
      const [node, parent] = [nodes[step % 2], parents[step % 2]];
      if (node === undefined || parent === undefined) throw new Error("there are two nodes");
      const { ran, backup } = await cycle(node, dir, { id: `c-${step}`, from, parent, script: mess(step) });
      if (last !== undefined) differences.push(difference(last.after, ran.before));
      const { parent: recorded } = await node.backups.get(backup, call.signal);
      expect(recorded).toBe(from);
      chains.push((await node.chain(backup)).length);
      [last, from] = [ran, backup];
    }
    expect(differences).toEqual([[], [], [], [], []]);
    expect(chains).toEqual(depth === 8 ? [1, 2, 3, 4, 5, 6] : [1, 2, 1, 2, 1, 2]);
  },
);

test("a chain that is mostly of files replaced later becomes one layer", { timeout: 120_000 }, async () => {
  using dir = scratch();
  await using node = await startNode({ root: dir.at("node") });
  const parent = await makeImage(node, dir);
  const script = "dd if=/dev/urandom of=big bs=1M count=4 status=none; echo kept > kept";
  const chains: number[] = [];
  let [last, from]: [Ran | undefined, BackupId | undefined] = [undefined, undefined];
  for (let step = 0; step < 5; step += 1) {
    const { ran, backup } = await cycle(node, dir, { id: `c-${step}`, from, parent, script });
    expect(difference(last?.after ?? ran.before, ran.before)).toEqual([]);
    chains.push((await node.chain(backup)).length);
    [last, from] = [ran, backup];
  }
  expect(chains).toEqual([1, 2, 1, 2, 1]);
});
