import { setTimeout as sleep } from "node:timers/promises";
import type { Daemon } from "./daemon.ts";

/** Milliseconds between two questions: a socket that is not there yet gives no event. */
const pauseMs = 15;

/**
 * Asks `answers` until it says yes; answers undefined then, or why it never will: the daemon ended, or `limitMs`
 * passed. Rejects when the signal is aborted.
 */
export async function untilReady(
  daemon: Daemon,
  answers: () => Promise<boolean>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const deadline = performance.now() + limitMs;
  let ended: string | undefined;
  void daemon.ended.then((how) => (ended = how));
  for (;;) {
    if (ended !== undefined) return `it ended with ${ended}`;
    signal?.throwIfAborted();
    if (await answers()) return undefined;
    if (performance.now() > deadline) return `it did not answer within ${limitMs / 1000} s`;
    await sleep(pauseMs, undefined, { ...(signal && { signal }) });
  }
}
