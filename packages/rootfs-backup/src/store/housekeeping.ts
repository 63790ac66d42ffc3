import { errorMessage, Lifetime, type BackupId, type Logger } from "@aeon/core";
import type { BackupRecords } from "../records/backup-records.ts";
import type { BackupStore } from "./backup-store.ts";
import { chainOf } from "./chain-of.ts";
import type { RetentionRules } from "./retention.ts";

export interface HousekeepingOptions {
  readonly store: BackupStore;
  readonly records: BackupRecords;
  readonly rules: RetentionRules;
  /** Between two rounds of all nodes that use the store. */
  readonly intervalMs: number;
  /** How long data of removed backups stays. */
  readonly graceMs: number;
  readonly log: Logger;
  /** Called with every backup that is not in the store any more. */
  readonly onForgotten: (id: BackupId) => void;
}

/** By how much the clock may run away from the time that passed before ages are not believed. */
const mostDriftMs = 3_600_000;

/** Applies retention and sweeps the store now and then, on one node at a time. */
export class Housekeeping implements AsyncDisposable {
  readonly #options: HousekeepingOptions;
  readonly #life = new Lifetime();
  readonly #clock = { wall: Date.now(), steady: performance.now() };
  #running: Promise<void> | undefined;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.#life.defer(() => this.#running);
  }

  /** Begins a round unless one is under way; failures are logged. */
  start(): void {
    if (this.#life.signal.aborted) return;
    this.#running ??= this.#round()
      .catch((error: unknown) => {
        if (!this.#life.signal.aborted)
          this.#options.log.warn({ error: errorMessage(error) }, "store not tidied");
      })
      .finally(() => (this.#running = undefined));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  async #round(): Promise<void> {
    const { store, rules, intervalMs, graceMs, log } = this.#options;
    const { signal } = this.#life;
    const storeTime = await store.claim("sweep", intervalMs, signal);
    if (storeTime !== undefined) {
      if (this.#isClockSteady()) {
        const removed = await store.retain(rules, Math.min(Date.now(), storeTime), signal);
        if (removed.length > 0) log.info({ removed: removed.length }, "backups removed by retention");
      } else log.warn({}, "the clock jumped, so retention waits for the next round");
      const report = await store.sweep({ signal, graceMs });
      log.info({ ...report }, "store swept");
    }
    await this.#forgetGone();
  }

  /** After a jump ages count again from the next round on, if the clock is steady then. */
  #isClockSteady(): boolean {
    const [wall, steady] = [Date.now(), performance.now()];
    const drift = Math.abs(wall - this.#clock.wall - (steady - this.#clock.steady));
    Object.assign(this.#clock, { wall, steady });
    return drift < mostDriftMs;
  }

  /** Records of backups that this or another node removed from the store. */
  async #forgetGone(): Promise<void> {
    const { store, records, onForgotten } = this.#options;
    const { signal } = this.#life;
    const needed = new Set(records.unfinished().map(({ parent }) => parent?.id));
    for (const { id, state, discarded, identity } of records.list()) {
      if (state !== "stored" || !discarded || needed.has(id)) continue;
      if (await store.hasBackup(id, chainOf(identity).tenant, signal)) continue;
      if (await records.remove(id)) onForgotten(id);
    }
  }
}
