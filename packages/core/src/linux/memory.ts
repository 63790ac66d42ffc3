import { libcFunction } from "./libc.ts";

const mallocTrim = libcFunction("int malloc_trim(size_t keep)");

/** Gives memory that libc's allocator holds but does not use back to the system. glibc only; elsewhere it rejects. */
export async function releaseFreeMemory(): Promise<void> {
  await mallocTrim.async("heap", 0);
}
