import { closeSync, fdatasync, openSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { errorMessage, type AeonError } from "../error.ts";
import { errors } from "../errors.ts";
import type { Database } from "./database.ts";
import { writingError } from "./sqlite-error.ts";

/** Brings a file's data to disk without blocking the event loop. */
export type Flush = (fd: number) => Promise<void>;

/** Writes after which the log is moved into the database: some hundred pages, a few milliseconds of work. */
const writesPerCheckpoint = 250;

/** A database whose commits SQLite leaves in the log unflushed; this class flushes the log before it acknowledges. */
export class WalDatabase implements Database {
  readonly #sql: DatabaseSync;
  readonly #path: string;
  /** SQLite keeps its locks on other files, so closing this descriptor drops none of them. */
  readonly #wal: number;
  readonly #flush: Flush;
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;
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
    this.#assertUsable();
    const result = this.#transaction(work);
    committed?.(result);
    this.#writes += 1;
    await this.#nextFlush();
    return result;
  }

  read<T>(work: (sql: DatabaseSync) => T): T {
    this.#assertUsable();
    return work(this.#sql);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    // Whoever wrote learns of a failed flush; closing goes on.
    await Promise.allSettled([this.#running, this.#queued]);
    closeSync(this.#wal);
    this.#sql.close();
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
    if (this.#writes >= writesPerCheckpoint) setImmediate(() => this.#checkpoint());
  }

  /** Right after a flush, so that SQLite, which flushes the log first, has little left to wait for. */
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
