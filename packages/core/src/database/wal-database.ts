import { closeSync, fdatasync, openSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { errorMessage, type AeonError } from "../error.ts";
import { errors } from "../errors.ts";
import type { Behind, Database } from "./database.ts";
import { writingError } from "./sqlite-error.ts";

/** Brings a file's data to disk without blocking the event loop. */
export type Flush = (fd: number) => Promise<void>;

/** Writes after which the log is moved into the database once nobody writes: a few milliseconds of work. */
const writesPerCheckpoint = 125;
/** Writes after which it is moved all the same. */
const mostWrites = 400;
/** Without a write, in milliseconds. */
const quietMs = 50;
/** Milliseconds until changes that nobody waits for are flushed. */
const behindMs = 100;

/** A database whose commits SQLite leaves in the log unflushed; this class flushes the log before it acknowledges. */
export class WalDatabase implements Database {
  readonly #sql: DatabaseSync;
  readonly #path: string;
  /** SQLite keeps its locks on other files, so closing this descriptor drops none of them. */
  readonly #wal: number;
  readonly #flush: Flush;
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;
  #behind: PromiseWithResolvers<void> | undefined;
  #behindTimer: NodeJS.Timeout | undefined;
  #checkpointTimer: NodeJS.Timeout | undefined;
  #writes = 0;
  #failure: AeonError | undefined;
  #closed: Promise<void> | undefined;

  constructor(sql: DatabaseSync, path: string, flush: Flush = promisify(fdatasync)) {
    this.#sql = sql;
    this.#path = path;
    this.#flush = flush;
    this.#wal = openSync(`${path}-wal`, "r");
  }

  get failure(): AeonError | undefined {
    return this.#failure;
  }

  async write<T>(work: (sql: DatabaseSync) => T, committed?: (result: T) => void): Promise<T> {
    const result = this.#commit(work, committed);
    await this.#nextFlush();
    return result;
  }

  writeBehind<T>(work: (sql: DatabaseSync) => T, committed?: (result: T) => void): Behind<T> {
    const result = this.#commit(work, committed);
    this.#behindTimer ??= setTimeout(() => void this.#nextFlush().catch(() => {}), behindMs).unref();
    this.#behind ??= withoutComplaint(Promise.withResolvers<void>());
    return { result, durable: this.#behind.promise };
  }

  async flushed(): Promise<void> {
    this.#assertUsable();
    await this.#nextFlush();
  }

  read<T>(work: (sql: DatabaseSync) => T): T {
    this.#assertUsable();
    return work(this.#sql);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    clearTimeout(this.#checkpointTimer);
    // Whoever wrote learns of a failed flush; closing goes on.
    await Promise.allSettled([this.#behind === undefined ? undefined : this.#nextFlush()]);
    await Promise.allSettled([this.#running, this.#queued]);
    closeSync(this.#wal);
    this.#sql.close();
  }

  #commit<T>(work: (sql: DatabaseSync) => T, committed?: (result: T) => void): T {
    this.#assertUsable();
    const result = this.#transaction(work);
    committed?.(result);
    this.#writes += 1;
    return result;
  }

  #transaction<T>(work: (sql: DatabaseSync) => T): T {
    this.#sql.exec("BEGIN IMMEDIATE");
    try {
      const result = work(this.#sql);
      if (result instanceof Promise)
        throw new TypeError("a transaction must not wait: its function returned a promise");
      this.#sql.exec("COMMIT");
      return result;
    } catch (error) {
      this.#rollBack();
      throw writingError(error, this.#path);
    }
  }

  /** SQLite may have rolled back by itself. If it cannot, the handle holds changes that nobody asked for. */
  #rollBack(): void {
    if (!this.#sql.isTransaction) return;
    try {
      this.#sql.exec("ROLLBACK");
    } catch (error) {
      this.#failure = errors.DATABASE_WRITE_FAILED(
        `cannot roll back a change of ${this.#path}: ${errorMessage(error)}; restart aeon`,
        { cause: error, details: { path: this.#path } },
      );
    }
  }

  /** The flush that is running may have started before our commit, so this is the one after it. */
  #nextFlush(): Promise<void> {
    return (this.#queued ??= this.#queue());
  }

  async #queue(): Promise<void> {
    await this.#running?.catch(() => {});
    this.#queued = undefined;
    clearTimeout(this.#behindTimer);
    this.#behindTimer = undefined;
    const behind = this.#behind;
    this.#behind = undefined;
    await this.#flushNow().then(behind?.resolve, (error: unknown) => {
      behind?.reject(error);
      throw error;
    });
  }

  async #flushNow(): Promise<void> {
    // What the failed flush lost lies before our commit in the log, so that a later success would prove nothing.
    if (this.#failure !== undefined) throw this.#failure;
    await (this.#running = this.#sync());
  }

  async #sync(): Promise<void> {
    try {
      await this.#flush(this.#wal);
    } catch (error) {
      this.#failure = errors.DATABASE_FLUSH_FAILED(
        `${this.#path} could not be flushed to disk: ${errorMessage(error)}; check the disk and restart aeon`,
        { cause: error, details: { path: this.#path } },
      );
      throw this.#failure;
    }
    this.#checkpointSoon();
  }

  /** Right after a flush, so that SQLite, which flushes the log first, has little left to wait for. */
  #checkpointSoon(): void {
    clearTimeout(this.#checkpointTimer);
    if (this.#writes >= mostWrites) setImmediate(() => this.#checkpoint());
    else if (this.#writes >= writesPerCheckpoint)
      this.#checkpointTimer = setTimeout(() => this.#checkpoint(), quietMs).unref();
  }

  #checkpoint(): void {
    if (this.#writes < writesPerCheckpoint || this.#failure !== undefined || this.#closed !== undefined)
      return;
    this.#writes = 0;
    try {
      this.#sql.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch {
      // The log keeps everything; the next checkpoint tries again, and a full disk shows at the next write.
    }
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed !== undefined)
      throw errors.DATABASE_CLOSED(`${this.#path} is closed`, { details: { path: this.#path } });
  }
}

/** Who does not wait for it must not be told of a failure by the process's end. */
function withoutComplaint(deferred: PromiseWithResolvers<void>): PromiseWithResolvers<void> {
  deferred.promise.catch(() => {});
  return deferred;
}
