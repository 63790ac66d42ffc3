import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage, isAeonError, Lifetime, type Health, type Logger } from "@aeon/core";
import { backOff } from "../queue/back-off.ts";
import type { Freeze, FreezeRecords } from "../records/freeze-records.ts";
import { reached } from "./steps.ts";
import type { Tasks } from "./tasks.ts";

export interface FreezerOptions {
  readonly records: FreezeRecords;
  readonly tasks: Tasks;
  readonly log: Logger;
}

/** Milliseconds that one attempt to let a container go on may take. */
const attemptMs = 10_000;
/** Milliseconds to wait between attempts, at most. */
const longestPauseMs = 5000;

/** Makes containers stand still, and lets every one of them go on again, also what an earlier process left so. */
export class Freezer implements AsyncDisposable {
  readonly #options: FreezerOptions;
  readonly #life = new Lifetime();
  readonly #thawing = new Set<Promise<void>>();
  #failure: string | undefined;

  constructor(options: FreezerOptions) {
    this.#options = options;
    this.#life.defer(async () => void (await Promise.allSettled(this.#thawing)));
    for (const freeze of options.records.list()) this.#thawInBackground(freeze);
  }

  /** Resolves when every process of the container stands still; disposing the result lets them go on. */
  async freeze(freeze: Freeze, signal: AbortSignal): Promise<AsyncDisposable> {
    const { records, tasks } = this.#options;
    await records.add(freeze);
    reached("freezing", freeze.backup);
    let thawing: Promise<void> | undefined;
    const thaw = (): Promise<void> => (thawing ??= this.#thaw(freeze));
    try {
      await tasks.pause(freeze.namespace, freeze.containerId, signal);
    } catch (error) {
      // Whether it stands still nobody knows.
      await thaw();
      throw error;
    }
    reached("frozen", freeze.backup);
    return { [Symbol.asyncDispose]: thaw };
  }

  health(): Health {
    return this.#failure === undefined ? { ok: true } : { ok: false, reason: this.#failure };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  #thawInBackground(freeze: Freeze): void {
    const thawing = this.#thaw(freeze).finally(() => this.#thawing.delete(thawing));
    this.#thawing.add(thawing);
  }

  /** Tries until it succeeds; only the end of the process stops it, and the next one goes on. */
  async #thaw(freeze: Freeze): Promise<void> {
    const { records, log } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#resume(freeze);
        break;
      } catch (error) {
        this.#failure = `container ${freeze.containerId} in ${freeze.namespace} stands still and could not be resumed: ${errorMessage(error)}`;
        log.error(
          { container: freeze.containerId, attempt, error: errorMessage(error) },
          "container not resumed",
        );
      }
      const { signal } = this.#life;
      if (signal.aborted) return;
      await sleep(Math.min(backOff(attempt), longestPauseMs), undefined, { signal }).catch(() => {});
    }
    this.#failure = undefined;
    reached("thawed", freeze.backup);
    await records.remove(freeze);
  }

  async #resume({ namespace, containerId }: Freeze): Promise<void> {
    const { tasks } = this.#options;
    const signal = AbortSignal.timeout(attemptMs);
    const state = await tasks.state(namespace, containerId, signal);
    if (state !== "paused" && state !== "pausing") return;
    try {
      await tasks.resume(namespace, containerId, signal);
    } catch (error) {
      if (!isAeonError(error, "not-found")) throw error;
    }
  }
}
