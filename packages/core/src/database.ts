import { closeSync, fdatasync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { AeonError, errorMessage } from "./error.ts";

/**
 * A crash-safe SQLite file. Each write is one transaction and is acknowledged once it is on disk; the disk is
 * waited for off the event loop, and writes that wait together share one flush.
 */
export interface Database extends AsyncDisposable {
  /**
   * Runs `work` in one write transaction (rolled back if it throws) and resolves when the result is durable.
   * `committed` runs at once after the commit, before any other code: the place to change a copy in memory.
   */
  write<T>(work: (sql: DatabaseSync) => T, committed?: (result: T) => void): Promise<T>;
  /** Runs `work` on the latest committed state. */
  read<T>(work: (sql: DatabaseSync) => T): T;
}

export interface DatabaseOptions {
  readonly path: string;
  /** SQL scripts by schema version: entry n brings version n to n + 1. Never edit one that was released. */
  readonly migrations: readonly string[];
}

/** WAL frames (4 KiB each) after which a write moves the log into the database. */
const checkpointPages = 256;

/**
 * Opens or creates the database and holds it exclusively until disposed. Throws `DATABASE_LOCKED` when another
 * process holds it, `DATABASE_NEWER` when a later aeon wrote it, `DATABASE_UNUSABLE` otherwise.
 */
export function openDatabase({ path, migrations }: DatabaseOptions): Database {
  const sql = openExclusive(path);
  try {
    migrate(sql, path, migrations);
    return new WalDatabase(sql, path);
  } catch (error) {
    sql.close();
    throw error;
  }
}

function openExclusive(path: string): DatabaseSync {
  let sql: DatabaseSync | undefined;
  try {
    sql = new DatabaseSync(path);
    // NORMAL leaves the flush of each commit to WalDatabase; checkpoints still flush the log before the database.
    sql.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
      PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = ${checkpointPages};`);
    sql.exec("BEGIN IMMEDIATE; COMMIT");
    return sql;
  } catch (error) {
    sql?.close();
    const message = errorMessage(error);
    if (/locked|busy/i.test(message))
      throw new AeonError(
        "failed-precondition",
        "DATABASE_LOCKED",
        `${path} is in use by another process; stop the other agent or choose another root`,
        { cause: error, details: { path } },
      );
    throw new AeonError("unavailable", "DATABASE_UNUSABLE", `cannot open database ${path}: ${message}`, {
      cause: error,
      details: { path },
    });
  }
}

function migrate(sql: DatabaseSync, path: string, migrations: readonly string[]): void {
  const version = Number(sql.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
  if (version > migrations.length)
    throw new AeonError(
      "failed-precondition",
      "DATABASE_NEWER",
      `${path} has schema ${version}, this aeon knows up to ${migrations.length}; install the newer aeon again`,
      { details: { path, version } },
    );
  for (const [step, script] of migrations.entries())
    if (step >= version) sql.exec(`BEGIN IMMEDIATE; ${script}; PRAGMA user_version = ${step + 1}; COMMIT`);
}

class WalDatabase implements Database {
  readonly #sql: DatabaseSync;
  readonly #path: string;
  /** SQLite keeps its locks on other files, so closing this descriptor drops none of them. */
  readonly #wal: number;
  #flushing: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #broken: AeonError | undefined;
  #closed = false;

  constructor(sql: DatabaseSync, path: string) {
    this.#sql = sql;
    this.#path = path;
    this.#wal = openSync(`${path}-wal`, "r");
  }

  async write<T>(work: (sql: DatabaseSync) => T, committed?: (result: T) => void): Promise<T> {
    this.#assertUsable();
    const result = this.#transaction(work);
    committed?.(result);
    await this.#flush();
    return result;
  }

  read<T>(work: (sql: DatabaseSync) => T): T {
    this.#assertUsable();
    return work(this.#sql);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await (this.#next ?? this.#flushing)?.catch(() => {});
    closeSync(this.#wal);
    this.#sql.close();
  }

  #transaction<T>(work: (sql: DatabaseSync) => T): T {
    this.#sql.exec("BEGIN IMMEDIATE");
    try {
      const result = work(this.#sql);
      this.#sql.exec("COMMIT");
      return result;
    } catch (error) {
      if (this.#sql.isTransaction) this.#sql.exec("ROLLBACK");
      if (!(error instanceof AeonError) && /disk is full|disk I\/O|readonly/i.test(errorMessage(error)))
        throw new AeonError(
          "resource-exhausted",
          "DATABASE_FULL",
          `cannot write ${this.#path}: ${errorMessage(error)}; free disk space`,
          {
            cause: error,
            details: { path: this.#path },
          },
        );
      throw error;
    }
  }

  /** A flush that is already running may have started before our commit, so we wait for the one after it. */
  #flush(): Promise<void> {
    if (this.#flushing === undefined) return (this.#flushing = this.#sync());
    return (this.#next ??= this.#flushing
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return (this.#flushing = this.#sync());
      }));
  }

  async #sync(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    fdatasync(this.#wal, (error) => (error === null ? resolve() : reject(error)));
    try {
      await promise;
    } catch (error) {
      // After a failed flush the kernel may have dropped the pages: nothing later can be trusted to be durable.
      this.#broken = new AeonError(
        "data-loss",
        "DATABASE_FLUSH_FAILED",
        `${this.#path} could not be flushed to disk: ${errorMessage(error)}; check the disk and restart aeon`,
        { cause: error, details: { path: this.#path } },
      );
      throw this.#broken;
    } finally {
      this.#flushing = undefined;
    }
  }

  #assertUsable(): void {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#closed) throw new AeonError("unavailable", "DATABASE_CLOSED", `${this.#path} is closed`);
  }
}
