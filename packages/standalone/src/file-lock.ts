import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { errors } from "./errors.ts";

/** Thrown nowhere: tells that somebody else holds the lock. */
export const lockHeld = Symbol("lock held");

/**
 * Holds an flock(2) on a file, through util-linux's `flock`, until disposed or until this process dies. With
 * `wait: false` it answers {@link lockHeld} at once when another process has it.
 */
export async function lockFile(
  path: string,
  options: { readonly wait?: boolean; readonly signal?: AbortSignal } = {},
): Promise<AsyncDisposable | typeof lockHeld> {
  options.signal?.throwIfAborted();
  await mkdir(dirname(path), { recursive: true });
  const mode = options.wait === false ? ["--nonblock", "--conflict-exit-code", "75"] : [];
  const child = spawn("flock", [...mode, path, "sh", "-c", "echo locked; exec cat >/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
    // Its own group: Ctrl-C at the terminal must not release the lock before its owner has cleaned up.
    detached: true,
    ...(options.signal && { signal: options.signal, killSignal: "SIGKILL" as const }),
  });
  const ended = Promise.withResolvers<number | null>();
  child.once("exit", ended.resolve);
  child.once("error", ended.reject);
  const first = await Promise.race([
    once(child.stdout, "data").then(() => "locked" as const),
    ended.promise,
  ]).catch((error: unknown) => {
    options.signal?.throwIfAborted();
    throw errors.PROGRAM_MISSING("flock (package util-linux) cannot be run", { cause: error });
  });
  if (first !== "locked") {
    options.signal?.throwIfAborted();
    if (first === 75) return lockHeld;
    throw errors.PROGRAM_FAILED(`flock ${path} ended with ${first}`, { details: { path } });
  }
  return {
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended.promise.catch(() => {});
    },
  };
}

/** Runs `work` while holding the lock; others wait. */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const lock = await lockFile(path, { ...(signal && { signal }) });
  if (lock === lockHeld) throw errors.PROGRAM_FAILED(`flock ${path} did not wait`);
  try {
    return await work();
  } finally {
    await lock[Symbol.asyncDispose]();
  }
}
