import { libcFunction } from "./libc.ts";
import { cString, showPath, type BytePath } from "./path.ts";

const renameat2 = libcFunction(
  "int renameat2(int oldDir, void *old, int newDir, void *new, unsigned int flags)",
);
const linkat = libcFunction("int linkat(int oldDir, void *old, int newDir, void *new, int flags)");

const atCwd = -100;
const noReplace = 1;
const exchange = 2;
const followOld = 0x400;

const subject = (from: BytePath, to: BytePath): string => `${showPath(from)}' -> '${showPath(to)}`;

/** Renames in one step, or fails with `EEXIST` when `to` exists. `EINVAL` where the file system cannot. */
export async function renameNoReplace(from: BytePath, to: BytePath): Promise<void> {
  await renameat2.async(subject(from, to), atCwd, cString(from), atCwd, cString(to), noReplace);
}

/** As {@link renameNoReplace}, on the calling thread: for callers whose steps must not interleave. */
export function renameNoReplaceSync(from: BytePath, to: BytePath): void {
  renameat2.sync(subject(from, to), atCwd, cString(from), atCwd, cString(to), noReplace);
}

/** Swaps two existing entries in one step. */
export async function renameExchange(a: BytePath, b: BytePath): Promise<void> {
  await renameat2.async(subject(a, b), atCwd, cString(a), atCwd, cString(b), exchange);
}

/** Gives an open file (an `O_TMPFILE` one too) a name; fails with `EEXIST` when `path` exists. Needs /proc. */
export async function linkDescriptor(fd: number, path: BytePath): Promise<void> {
  const source = `/proc/self/fd/${fd}`;
  await linkat.async(subject(source, path), atCwd, cString(source), atCwd, cString(path), followOld);
}
