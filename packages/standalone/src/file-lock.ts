import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf, linux } from "@aeon/core";

/** Milliseconds between two attempts: the kernel's own waiting would stop the event loop. */
const retryMs = 50;

/**
 * Takes an flock(2) on a file, which is created and stays; it is held until disposed or until this process dies.
 * Undefined when somebody else holds it, in this process or another.
 */
export async function tryLock(path: string): Promise<AsyncDisposable | undefined> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, "a");
  try {
    linux.lockFileSync(file.fd, "exclusive");
  } catch (error) {
    await file.close();
    if (errnoOf(error) === "EAGAIN") return undefined;
    throw error;
  }
  return { [Symbol.asyncDispose]: () => file.close() };
}

/** Runs `work` while holding the lock; waits for others to release it. */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  for (;;) {
    signal?.throwIfAborted();
    const lock = await tryLock(path);
    if (lock === undefined) {
      await sleep(retryMs, undefined, { ...(signal && { signal }) });
      continue;
    }
    try {
      return await work();
    } finally {
      await lock[Symbol.asyncDispose]();
    }
  }
}
