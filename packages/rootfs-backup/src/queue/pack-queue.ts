import { errorMessage, Lifetime, type BackupId, type Logger } from "@aeon/core";
import type { Restarts } from "../capture/restarts.ts";
import type { Staging } from "../capture/staging.ts";
import type { BackupRecord } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";
import { backOff, longestBackOff } from "./back-off.ts";
import type { Packer } from "./packer.ts";

export interface PackQueueOptions {
  readonly backups: BackupRecords;
  readonly staging: Staging;
  readonly packer: Packer;
  readonly worker: ArchiveWorker;
  readonly restarts: Restarts;
  /** Layers packed at the same time. */
  readonly concurrency: number;
  readonly log: Logger;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
  /** Called after every change of a backup. */
  readonly onChange: (id: BackupId) => void;
}

/** Milliseconds until a removal surely is answered. */
const soonMs = 100;

/**
 * Stores what is staged, the oldest first, and then deletes the staged copy. The records are the queue, so
 * nothing is lost with the process; what fails is tried again for ever, ever more seldom.
 */
export class PackQueue implements AsyncDisposable {
  readonly #options: PackQueueOptions;
  readonly #life = new Lifetime();
  /** Backups being worked on. */
  readonly #running = new Map<BackupId, Promise<void>>();
  #measuring: Promise<void> | undefined;
  readonly #unmeasurable = new Set<BackupId>();
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;

  constructor(options: PackQueueOptions) {
    this.#options = options;
    this.#life.defer(async () => {
      clearTimeout(this.#timer);
      clearTimeout(this.#soon);
      await Promise.all([...this.#running.values(), this.#measuring]);
    });
  }

  isRunning(id: BackupId): boolean {
    return this.#running.has(id);
  }

  /** As {@link poke}, a moment later: starting a process would hold up the removal that is being answered. */
  pokeSoon(): void {
    if (this.#life.signal.aborted) return;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.poke();
    }, soonMs);
  }

  /** Starts whatever is due, and comes back when the next one is. */
  poke(): void {
    if (this.#life.signal.aborted) return;
    clearTimeout(this.#timer);
    const { backups, concurrency, now } = this.#options;
    const at = now();
    let next: bigint | undefined;
    for (const record of backups.unfinished()) {
      if (this.#running.has(record.id) || !this.#isReady(record)) continue;
      const isDue = isDueAt(record.nextAttemptAt, at);
      if (isDue && this.#running.size < concurrency) {
        this.#start(record);
        continue;
      }
      if (!isDue) next = earlier(next, record.nextAttemptAt);
      if (record.place === "staging" && record.stagedBytes === undefined) this.#measure(record);
    }
    if (next !== undefined)
      this.#timer = setTimeout(() => this.poke(), Number((next - at) / 1_000_000n) + 1).unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  /** Backups that nothing is left to do for now: what they wait for pokes. */
  isIdle(record: BackupRecord): boolean {
    return record.state === "stored" && !this.#running.has(record.id) && !this.#isReady(record);
  }

  /** Whether there is something to do: what others stand on stays, and what stands on others comes after them. */
  #isReady(record: BackupRecord): boolean {
    const { packer, restarts } = this.#options;
    if (record.state === "intent") return false;
    if (record.state === "staged") return packer.layersBelow(record) !== undefined;
    return record.place === "snapshot" || !restarts.isNeeded(record.id);
  }

  #start(record: BackupRecord): void {
    const work = this.#work(record).finally(() => {
      this.#running.delete(record.id);
      this.#options.onChange(record.id);
      this.poke();
    });
    this.#running.set(record.id, work);
    this.#options.onChange(record.id);
  }

  /** Only what has to wait is measured, one at a time, so that the staging limit knows of it. */
  #measure({ id }: BackupRecord): void {
    if (this.#measuring !== undefined || this.#unmeasurable.has(id)) return;
    const { backups, staging, worker, log } = this.#options;
    const { signal } = this.#life;
    this.#measuring = worker
      .measure(staging.folder(id), signal)
      .then((bytes) => backups.measured(id, bytes))
      .catch((error: unknown) => {
        if (!signal.aborted)
          log.debug({ backup: id, error: errorMessage(error) }, "staged layer not measured");
      })
      .finally(() => {
        this.#measuring = undefined;
        this.poke();
      });
  }

  async #work(record: BackupRecord): Promise<void> {
    const { packer, restarts, backups, log, now } = this.#options;
    const { signal } = this.#life;
    const { id, place } = record;
    try {
      if (record.state === "staged") await packer.store(record, signal);
      if (backups.get(id)?.place === "snapshot" || restarts.mayGo(id)) await packer.discard(record, signal);
    } catch (error) {
      // A layer that was moved while it was read is read again from where it is now.
      if (signal.aborted || backups.get(id)?.place !== place) return;
      const wait = backOff(record.attempts + 1);
      log.warn(
        { backup: record.id, attempt: record.attempts + 1, retryInMs: wait, error: errorMessage(error) },
        "backup not stored",
      );
      await backups
        .failed(record.id, errorMessage(error), now() + BigInt(wait) * 1_000_000n)
        .catch((cause: unknown) =>
          log.error({ backup: record.id, error: errorMessage(cause) }, "failure not recorded"),
        );
    }
  }
}

/** A time further away than any that is ever chosen was written before the clock was set back. */
const isDueAt = (next: bigint, now: bigint): boolean =>
  next <= now || next - now > BigInt(longestBackOff) * 1_000_000n;

const earlier = (a: bigint | undefined, b: bigint): bigint => (a === undefined || b < a ? b : a);
