import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { errors } from "../errors.ts";
import { CachingDatabase } from "./caching-database.ts";
import type { Database } from "./database.ts";
import { openingError } from "./sqlite-error.ts";
import { WalDatabase } from "./wal-database.ts";

export interface DatabaseOptions {
  readonly path: string;
  /** SQL scripts by schema version: entry n brings version n to n + 1. Never edit one that was released. */
  readonly migrations: readonly string[];
}

/**
 * Opens or creates the database and holds it exclusively until disposed. Throws `DATABASE_LOCKED` when another
 * process holds it, `DATABASE_NEWER` when a later aeon wrote it, `DATABASE_UNUSABLE` otherwise.
 */
export function openDatabase({ path, migrations }: DatabaseOptions): Database {
  const sql = openExclusive(path);
  try {
    migrate(sql, path, migrations);
    reserveLog(`${path}-wal`);
    return new WalDatabase(sql, path);
  } catch (error) {
    sql.close();
    throw openingError(error, path);
  }
}

/**
 * NORMAL leaves the flush of each commit to WalDatabase; checkpoints still flush the log before the database.
 * The automatic checkpoint only bounds the log when one transaction is huge; see WalDatabase for the usual one.
 */
const settings = `PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
  PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;
  PRAGMA wal_autocheckpoint = 4000; BEGIN IMMEDIATE; COMMIT`;

function openExclusive(path: string): CachingDatabase {
  let sql: CachingDatabase | undefined;
  try {
    sql = new CachingDatabase(path);
    sql.exec(settings);
    syncFolder(dirname(path));
    return sql;
  } catch (error) {
    sql?.close();
    throw openingError(error, path);
  }
}

/** As long as the log usually gets between two checkpoints, bytes. */
const reserved = 3 * 1024 * 1024;

/**
 * Makes the log as long as it will be. A flush of a file that grew also waits for the file system's journal, which takes
 * several times as long as one of a file whose blocks are there. SQLite ends at the first frame that is none, and starts
 * again at the front of the file after a checkpoint.
 */
function reserveLog(path: string): void {
  const log = openSync(path, "r+");
  const { size } = fstatSync(log);
  try {
    const zeros = Buffer.alloc(Math.max(0, reserved - size));
    for (let done = 0; done < zeros.length;)
      done += writeSync(log, zeros, done, zeros.length - done, size + done);
  } catch {
    // What little space is left is for the data.
    ftruncateSync(log, size);
  } finally {
    closeSync(log);
  }
}

/** Flushing a file does not promise that its name survives a power cut. */
function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function migrate(sql: DatabaseSync, path: string, migrations: readonly string[]): void {
  const version = Number(sql.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
  if (version > migrations.length)
    throw errors.DATABASE_NEWER(
      `${path} has schema ${version}, this aeon knows up to ${migrations.length}; install the newer aeon again`,
      { details: { path, version } },
    );
  for (const [step, script] of migrations.entries())
    if (step >= version) sql.exec(`BEGIN IMMEDIATE; ${script}; PRAGMA user_version = ${step + 1}; COMMIT`);
}
