import { errorMessage, Lifetime, type BackupId, type Logger } from "@aeon/core";
import type { Restarts } from "../capture/restarts.ts";
import type { Staging } from "../capture/staging.ts";
import type { BackupRecord } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";
import type { Archiver } from "./archiver.ts";
import { backOff, longestBackOff } from "./back-off.ts";
import type { Discarder } from "./discarder.ts";
import { layersBelow } from "./draft.ts";
import type { Phases } from "./phases.ts";
import type { Uploader } from "./uploader.ts";

/** What is next to be done for a backup: its archive, its way to the store, or the end of its staged copy. */
export type Task = "pack" | "upload" | "discard";

export interface PackQueueOptions {
  readonly backups: BackupRecords;
  readonly staging: Staging;
  readonly archiver: Archiver;
  readonly uploader: Uploader;
  readonly discarder: Discarder;
  readonly worker: ArchiveWorker;
  readonly restarts: Restarts;
  readonly phases: Phases;
  /** How many backups each task is done for at the same time. */
  readonly limits: Readonly<Record<Task, number>>;
  readonly log: Logger;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
  /** Called after every change of a backup. */
  readonly onChange: (id: BackupId) => void;
}

interface Running {
  readonly task: Task;
  readonly work: Promise<void>;
}

/** Milliseconds until a removal surely is answered. */
const soonMs = 20;

/**
 * Packs what is staged, stores what is packed, and then deletes the staged copy, for each the oldest first. The
 * records are the queue, so nothing is lost with the process; what fails is tried again for ever, ever more seldom.
 */
export class PackQueue implements AsyncDisposable {
  readonly #options: PackQueueOptions;
  readonly #life = new Lifetime();
  readonly #running = new Map<BackupId, Running>();
  #measuring: Promise<void> | undefined;
  readonly #unmeasurable = new Set<BackupId>();
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;

  constructor(options: PackQueueOptions) {
    this.#options = options;
    this.#life.defer(async () => {
      clearTimeout(this.#timer);
      clearTimeout(this.#soon);
      await Promise.all([...[...this.#running.values()].map(({ work }) => work), this.#measuring]);
    });
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
    const { backups, now } = this.#options;
    const at = now();
    let next: bigint | undefined;
    for (const record of backups.unfinished()) {
      const task = this.#running.has(record.id) ? undefined : this.#taskOf(record);
      if (task === undefined) continue;
      const isDue = isDueAt(record.nextAttemptAt, at);
      if (isDue && this.#hasRoom(task)) {
        this.#start(record, task);
        continue;
      }
      if (!isDue) next = earlier(next, record.nextAttemptAt);
      if (record.place === "staging" && record.stagedBytes === undefined) this.measure(record.id);
    }
    if (next !== undefined)
      this.#timer = setTimeout(() => this.poke(), Number((next - at) / 1_000_000n) + 1).unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  /** Backups that nothing is left to do for now: what they wait for pokes. */
  isIdle(record: BackupRecord): boolean {
    return record.state === "stored" && !this.#running.has(record.id) && this.#taskOf(record) === undefined;
  }

  /** Only what has to wait, or is looked at, is measured, one at a time; the staging limit knows of it then. */
  measure(id: BackupId): void {
    if (this.#measuring !== undefined || this.#unmeasurable.has(id) || this.#life.signal.aborted) return;
    const { backups, staging, worker, log, onChange } = this.#options;
    const { signal } = this.#life;
    const record = backups.get(id);
    if (record === undefined) return;
    const folder = record.place === "staging" ? staging.folder(id) : record.upperdir;
    this.#measuring = worker
      .measure(folder, signal)
      .then((bytes) => backups.measured(id, bytes))
      .catch((error: unknown) => {
        if (signal.aborted) return;
        this.#unmeasurable.add(id);
        log.debug({ backup: id, error: errorMessage(error) }, "staged layer not measured");
      })
      .finally(() => {
        this.#measuring = undefined;
        onChange(id);
        this.poke();
      });
  }

  /** Undefined while there is nothing to do: what others stand on stays, and what stands on others comes after them. */
  #taskOf(record: BackupRecord): Task | undefined {
    const { backups, restarts } = this.#options;
    if (record.state === "intent") return undefined;
    if (record.state === "staged") {
      if (layersBelow(record, backups) === undefined) return undefined;
      return record.packed === undefined ? "pack" : "upload";
    }
    return record.place === "snapshot" || !restarts.isNeeded(record.id) ? "discard" : undefined;
  }

  #hasRoom(task: Task): boolean {
    let count = 0;
    for (const running of this.#running.values()) if (running.task === task) count += 1;
    return count < this.#options.limits[task];
  }

  #start(record: BackupRecord, task: Task): void {
    const work = this.#work(record, task).finally(() => {
      this.#running.delete(record.id);
      this.#options.onChange(record.id);
      this.poke();
    });
    this.#running.set(record.id, { task, work });
    this.#options.onChange(record.id);
  }

  async #work(record: BackupRecord, task: Task): Promise<void> {
    const { archiver, uploader, backups } = this.#options;
    const { signal } = this.#life;
    const { id, place } = record;
    try {
      if (task === "pack") await archiver.pack(record, signal);
      if (task === "upload") await uploader.upload(record, signal);
      // At once, as staging is short of room first.
      if (backups.get(id)?.state === "stored") await this.#discard(record);
    } catch (error) {
      // A layer that was moved while it was read is read again from where it is now.
      if (signal.aborted || backups.get(id)?.place !== place) return;
      await this.#fail(record, errorMessage(error));
    }
  }

  async #discard(record: BackupRecord): Promise<void> {
    const { backups, restarts, discarder } = this.#options;
    const { id } = record;
    if (backups.get(id)?.place === "snapshot" || restarts.mayGo(id))
      await discarder.discard(record, this.#life.signal);
  }

  async #fail({ id, attempts, state }: BackupRecord, failure: string): Promise<void> {
    const { backups, phases, log, now } = this.#options;
    const wait = backOff(attempts + 1);
    const nextAttemptAt = now() + BigInt(wait) * 1_000_000n;
    log.warn({ backup: id, attempt: attempts + 1, retryInMs: wait, error: failure }, "backup not stored");
    try {
      await backups.failed(id, failure, nextAttemptAt);
    } catch (cause) {
      log.error({ backup: id, error: errorMessage(cause) }, "failure not recorded");
    }
    if (state !== "stored") phases.enter(id, "failed", { reason: failure, nextAttemptAt });
  }
}

/** A time further away than any that is ever chosen was written before the clock was set back. */
const isDueAt = (next: bigint, now: bigint): boolean =>
  next <= now || next - now > BigInt(longestBackOff) * 1_000_000n;

const earlier = (a: bigint | undefined, b: bigint): bigint => (a === undefined || b < a ? b : a);
