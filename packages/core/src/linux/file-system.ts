import { libcFunction } from "./libc.ts";

const syncfs = libcFunction("int syncfs(int fd)");
const flock = libcFunction("int flock(int fd, int operation)");

/** Writes all changes of the file system that holds the open file to disk; rejects with `EIO` if one failed since it was opened. */
export async function syncFileSystem(fd: number): Promise<void> {
  await syncfs.async(`descriptor ${fd}`, fd);
}

const operations = { shared: 1, exclusive: 2, unlock: 8 } as const;
const nonBlocking = 4;

/**
 * flock(2) without waiting; the lock goes with the last copy of the descriptor, so also when the process dies.
 * Fails with `EAGAIN` when another open file holds it.
 */
export function lockFileSync(fd: number, operation: keyof typeof operations): void {
  flock.sync(`descriptor ${fd}`, fd, operations[operation] | nonBlocking);
}
