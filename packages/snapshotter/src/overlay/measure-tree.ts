import { lstatSync, type Stats } from "node:fs";
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
  const linked = new Set<string>();
  let blocks = top.blocks;
  let inodes = 1;
  yield* walkTree(root, {
    entry(path, stats) {
      if (stats.nlink > 1 && !stats.isDirectory() && !isFirst(linked, path, stats)) return;
      blocks += stats.blocks;
      inodes += 1;
    },
  });
  return { size: blocks * blockSize, inodes };
}

/** True the first time a file with several links is met. Inode numbers may need all of 64 bits. */
function isFirst(linked: Set<string>, path: Buffer, stats: Stats): boolean {
  const exact = Number.isSafeInteger(stats.ino) ? stats.ino : lstatSync(path, { bigint: true }).ino;
  const identity = `${stats.dev}:${exact}`;
  if (linked.has(identity)) return false;
  linked.add(identity);
  return true;
}
