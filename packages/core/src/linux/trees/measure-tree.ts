import { lstatSync } from "node:fs";
import { LinkedFiles } from "./linked-files.ts";
import { walkTree } from "./walk.ts";

/** Bytes of a block in `st_blocks` (stat(2)). */
const blockSize = 512;

export interface Measured {
  /** Bytes. */
  readonly size: number;
  readonly inodes: number;
}

/** Adds up the blocks and inodes of a tree with its root, each inode once. Nothing when the root is gone. */
export function* measureTree(root: string): Generator<void, Measured, undefined> {
  const top = lstatSync(root, { throwIfNoEntry: false });
  if (top === undefined) return { size: 0, inodes: 0 };
  const linked = new LinkedFiles();
  let blocks = top.blocks;
  let inodes = 1;
  yield* walkTree(root, {
    otherMounts: "skip",
    entry(path, stats) {
      if (!linked.isFirst(path, stats)) return;
      blocks += stats.blocks;
      inodes += 1;
    },
  });
  return { size: blocks * blockSize, inodes };
}
