import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage } from "@aeon/core";
import type { Lifecycle } from "./lifecycle.ts";
import { isUp, type Live } from "./live.ts";
import type { Parts } from "./parts.ts";
import type { DindRecord } from "./records.ts";

const longestPauseMs = 60_000;

/** Starts a dockerd that died again, after pauses that grow. */
export class Reviver {
  readonly #parts: Parts;
  readonly #lifecycle: Lifecycle;

  constructor(parts: Parts, lifecycle: Lifecycle) {
    this.#parts = parts;
    this.#lifecycle = lifecycle;
  }

  async revive(record: DindRecord): Promise<void> {
    const { lives, options, signal } = this.#parts;
    const live = lives.of(record);
    if (!isUp(live)) return;
    live.state = "restarting";
    live.reason = "dockerd ended";
    const lasted = Date.now() - live.since;
    if (lasted > longestPauseMs) live.restarts = 0;
    for (let isDone = false; !isDone;) {
      live.restarts += 1;
      const pause = Math.min(longestPauseMs, 250 * 2 ** (live.restarts - 1));
      options.log.warn(
        { container: record.id, pause, reason: live.reason },
        "dind: dockerd ended, it is started again",
      );
      await sleep(pause, undefined, { signal });
      isDone = await lives.inTurn(record, () => this.#tryAgain(record, live));
    }
  }

  /** True when there is nothing more to try. */
  async #tryAgain(record: DindRecord, live: Live): Promise<boolean> {
    const { records, signal } = this.#parts;
    const current = records.get(record.namespace, record.id);
    if (current?.wanted !== "running" || live.state !== "restarting") return true;
    try {
      await this.#lifecycle.start(record, live, signal);
      return true;
    } catch (error) {
      if (signal.aborted || records.get(record.namespace, record.id) === undefined) return true;
      live.state = "restarting";
      live.reason = errorMessage(error);
      return false;
    }
  }
}
