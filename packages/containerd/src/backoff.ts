import { setTimeout as sleep } from "node:timers/promises";

/** Growing pauses between attempts, with jitter, from 50 ms to 3 s. */
export class Backoff {
  #next = 50;

  /** Waits before the next attempt. Rejects when the signal aborts. */
  async wait(signal?: AbortSignal): Promise<void> {
    const pause = this.#next * (0.8 + Math.random() * 0.4);
    this.#next = Math.min(this.#next * 1.6, 3000);
    await sleep(pause, undefined, signal && { signal });
  }

  /** After a success: the next failure waits shortly again. */
  reset(): void {
    this.#next = 50;
  }
}
