import type { Pace } from "../objects/object-store.ts";

/** Milliseconds of the rate that may pass at once after a pause. */
const burstMs = 250;

/**
 * Lets bytes pass at a rate, all users together, in the order in which they ask. Time that was waited for and then
 * given up is lost.
 */
export class TokenBucket {
  readonly #bytesPerMs: number;
  /** When all that was let through so far would have passed at the exact rate; milliseconds of a clock that is never set. */
  #paidUntil = -Infinity;

  /** Bytes per second; more than 0. */
  constructor(rate: number) {
    this.#bytesPerMs = rate / 1000;
  }

  /** Resolves when so many more bytes may pass; rejects when the signal fires first. */
  readonly take: Pace = async (bytes, signal) => {
    signal.throwIfAborted();
    const now = performance.now();
    this.#paidUntil = Math.max(this.#paidUntil, now - burstMs) + bytes / this.#bytesPerMs;
    const wait = this.#paidUntil - now;
    if (wait <= 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, wait);
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  };
}
