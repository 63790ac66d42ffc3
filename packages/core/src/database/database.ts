import type { DatabaseSync } from "node:sqlite";
import type { AeonError } from "../error.ts";

/**
 * A crash-safe SQLite file. Each write is one transaction and is acknowledged once it is on disk; the disk is
 * waited for off the event loop, and writes that wait together share one flush. `prepare` on the handle keeps
 * what it compiled, so hot paths may call it each time.
 */
export interface Database extends AsyncDisposable {
  /**
   * Runs `work` at once in one write transaction (rolled back if it throws) and resolves when the result is
   * durable. Rejects with `DATABASE_FULL`, `DATABASE_WRITE_FAILED` (nothing changed) or `DATABASE_FLUSH_FAILED`.
   * `committed` runs right after the commit, before any other code: the place to change a copy in memory.
   */
  write<T>(work: (sql: DatabaseSync) => T, committed?: (result: T) => void): Promise<T>;
  /**
   * As {@link write} for a change that may come undone by a power cut: returns at once. `durable` resolves when the
   * change is on disk, with the next write's flush or a moment later; later writes are never durable without it.
   */
  writeBehind<T>(work: (sql: DatabaseSync) => T, committed?: (result: T) => void): Behind<T>;
  /** Resolves when everything written so far is on disk. */
  flushed(): Promise<void>;
  /** Runs `work` on the latest committed state, which may be a few milliseconds ahead of the disk. */
  read<T>(work: (sql: DatabaseSync) => T): T;
  /** Why every further call is refused until the database is opened again, if so. */
  readonly failure?: AeonError | undefined;
}

/** What a change gives that is not on disk yet. */
export interface Behind<T> {
  readonly result: T;
  /** Rejects with `DATABASE_FLUSH_FAILED`; need not be awaited. */
  readonly durable: Promise<void>;
}
