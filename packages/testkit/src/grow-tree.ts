import { closeSync, linkSync, mkdirSync, openSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { linux } from "@aeon/core";
import { Corpus } from "./corpus.ts";
import { seeded } from "./seeded.ts";

/** The size of a tree. Equal options give equal trees, times aside. */
export interface GrowOptions {
  readonly seed: number;
  /** Files, links included. */
  readonly files: number;
  /** Bytes of all files, met within a few per cent. */
  readonly bytes: number;
}

const filesPerFolder = 12;
const smallShare = 0.64;
const smallSize = 4096;

/**
 * Fills an existing folder with what a root file system holds: many small and few large files of text and data,
 * some symbolic links, hard links and attributes. Gives the paths of the regular files.
 */
export function growTree(root: string, { seed, files, bytes }: GrowOptions): readonly string[] {
  const random = seeded(seed);
  const corpus = new Corpus(random);
  const folders = [root];
  const paths: string[] = [];
  let folder = root;
  for (const [number, size] of sizesOf(random, files, bytes).entries()) {
    if (number % filesPerFolder === 0) {
      const parent = folders[Math.floor(random() * Math.min(folders.length, 400))] ?? root;
      folder = join(parent, `folder-${number.toString(36)}`);
      mkdirSync(folder);
      folders.push(folder);
    }
    const path = join(folder, `file-${number.toString(36)}`);
    const earlier = paths.at(-1);
    const dice = random();
    if (dice < 0.02 && earlier !== undefined) symlinkSync(earlier, path);
    else if (dice < 0.03 && earlier !== undefined) linkSync(earlier, path);
    else {
      writeNew(path, size, corpus);
      if (dice > 0.99) linux.setXattrSync(path, "user.origin", Buffer.from(`seed ${seed}`));
      paths.push(path);
    }
  }
  return paths;
}

/** Writes one new file of the kind that {@link growTree} makes. */
export function growFile(path: string, { seed, bytes }: Pick<GrowOptions, "seed" | "bytes">): void {
  writeNew(path, bytes, new Corpus(seeded(seed)));
}

/** Sizes with a long tail that give the sum. */
function sizesOf(random: () => number, files: number, bytes: number): readonly number[] {
  const sizes = Array.from({ length: files }, () =>
    random() < smallShare ? 64 * 64 ** random() : smallSize / (1 - 0.9995 * random()) ** 0.9,
  );
  const sum = (from: number, to: number): number =>
    sizes.filter((size) => size >= from && size < to).reduce((total, size) => total + size, 0);
  const scale = Math.max(1, (bytes - sum(0, smallSize)) / sum(smallSize, Infinity));
  return sizes.map((size) => Math.floor(size < smallSize ? size : size * scale));
}

function writeNew(path: string, size: number, corpus: Corpus): void {
  const fd = openSync(path, "wx", 0o644);
  try {
    corpus.write(fd, size);
  } finally {
    closeSync(fd);
  }
}
