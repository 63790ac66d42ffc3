import { readFile, readlink } from "node:fs/promises";
import { libcFunction } from "./libc.ts";

const mallocTrim = libcFunction("int malloc_trim(size_t keep)");
const madvise = libcFunction("int madvise(uintptr_t address, size_t length, int advice)");
const dontNeed = 4;

/** Gives memory that libc's allocator holds but does not use back to the system. glibc only; elsewhere it rejects. */
export async function releaseFreeMemory(): Promise<void> {
  await mallocTrim.async("heap", 0);
}

/**
 * Takes the pages of this program's machine code out of its resident memory: most of Node's are run only while it
 * starts. They stay in the page cache, and those that run again are mapped again, without a read from disk
 * (madvise(2), MADV_DONTNEED on a private mapping of a file that was never written to).
 */
export async function releaseProgramCode(): Promise<void> {
  const program = await readlink("/proc/self/exe");
  for (const line of (await readFile("/proc/self/maps", "utf8")).split("\n")) {
    const [, from, to, path] = /^([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ \S+ +(.*)$/.exec(line) ?? [];
    if (from === undefined || to === undefined || path !== program) continue;
    const start = BigInt(`0x${from}`);
    await madvise.async(path, start, BigInt(`0x${to}`) - start, dontNeed);
  }
}
