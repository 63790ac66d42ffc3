import { closeSync, ftruncateSync, mkdirSync, openSync, statfsSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, linux } from "@aeon/core";
import { run, type Scratch } from "./scratch.ts";

/** A small ext4 of its own, mounted; disposing unmounts it. */
export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Takes the space that is left, but for some bytes. */
  fill(leave?: number): void;
  /** Takes the inodes that are left, but for some. */
  useInodes(leave?: number): void;
  /** Gives back what was taken. */
  free(): void;
  setReadOnly(isReadOnly: boolean): void;
}

export interface DiskOptions {
  readonly megabytes: number;
  readonly inodes?: number;
}

export async function smallDisk(
  dir: Scratch,
  name: string,
  { megabytes, inodes = 4096 }: DiskOptions,
): Promise<SmallDisk> {
  const [image, path] = [dir.at(`${name}.image`), dir.at(name)];
  const fd = openSync(image, "wx");
  ftruncateSync(fd, megabytes << 20);
  closeSync(fd);
  mkdirSync(path);
  // No blocks are kept back for root, which is who runs here.
  run("mkfs.ext4", "-q", "-F", "-m", "0", "-N", String(inodes), image);
  run("mount", "-o", "loop", image, path);
  const ballast = join(path, "ballast");
  const taken: string[] = [];
  return {
    path,
    fill(leave = 0) {
      taken.push(ballast);
      const file = openSync(ballast, "wx");
      try {
        for (let size = 1 << 20; size >= 512; size >>= 1) {
          const bytes = Buffer.alloc(size, 1);
          while (freeBytes(path) - size >= leave && writes(file, bytes));
        }
      } finally {
        closeSync(file);
      }
    },
    useInodes(leave = 0) {
      const count = statfsSync(path).ffree - leave;
      for (let number = 0; number < count; number += 1) {
        const file = join(path, `ballast-${number}`);
        closeSync(openSync(file, "wx"));
        taken.push(file);
      }
    },
    free() {
      for (const file of taken.splice(0)) unlinkSync(file);
    },
    setReadOnly(isReadOnly) {
      run("mount", "-o", `remount,${isReadOnly ? "ro" : "rw"}`, path);
    },
    [Symbol.asyncDispose]: () => linux.unmount(path),
  };
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** False when the disk is full. */
function writes(fd: number, bytes: Buffer): boolean {
  try {
    return writeSync(fd, bytes) === bytes.length;
  } catch (error) {
    if (errnoOf(error) !== "ENOSPC") throw error;
    return false;
  }
}
