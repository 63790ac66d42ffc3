import { backupId, type BackupId, type Database, type SnapshotKey } from "@aeon/core";
import { recordOf, type BackupRecord, type NewBackup } from "./backup-record.ts";
import { select } from "./row.ts";

/** What storing a backup gave. */
export interface StoredFacts {
  readonly digest: string;
  readonly size: number;
  readonly location: string;
  readonly storedAt: bigint;
}

/** The backups made on this node. Every change is durable when it resolves. */
export class BackupRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(id: BackupId): BackupRecord | undefined {
    return this.#first("SELECT * FROM backup WHERE id = ?", id);
  }

  ofSnapshot(key: SnapshotKey, created: bigint): BackupRecord | undefined {
    return this.#first("SELECT * FROM backup WHERE snapshot_key = ? AND snapshot_created = ?", key, created);
  }

  /** Newest first. */
  list(): readonly BackupRecord[] {
    return this.#all("SELECT * FROM backup ORDER BY created_at DESC, id DESC");
  }

  /** All that are not both stored and cleaned up, oldest first. */
  unfinished(): readonly BackupRecord[] {
    return this.#all("SELECT * FROM backup WHERE state <> 'stored' OR discarded = 0 ORDER BY created_at, id");
  }

  /** Bytes that wait in staging, as far as they are measured, and how many layers. */
  waiting(): { readonly count: number; readonly bytes: number; readonly oldest?: bigint } {
    const [row] = this.#database.read((sql) =>
      select(
        sql,
        `SELECT count(*) AS count, coalesce(sum(staged_bytes), 0) AS bytes, min(created_at) AS oldest
         FROM backup WHERE state = 'staged'`,
      ),
    );
    const oldest = row?.["oldest"];
    return {
      count: Number(row?.["count"] ?? 0),
      bytes: Number(row?.["bytes"] ?? 0),
      ...(typeof oldest === "bigint" && { oldest }),
    };
  }

  async intend(backup: NewBackup): Promise<void> {
    const { id, snapshotKey, snapshotCreated, upperdir, overlay, idMaps, identity, parent, createdAt } =
      backup;
    await this.#database.write((sql) =>
      sql
        .prepare(
          `INSERT INTO backup (id, snapshot_key, snapshot_created, state, upperdir, overlay, id_maps, identity, parent,
             parent_layers, created_at) VALUES (?, ?, ?, 'intent', ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          id,
          snapshotKey,
          snapshotCreated,
          upperdir,
          overlay,
          idMaps === undefined ? null : JSON.stringify(idMaps),
          JSON.stringify(identity),
          parent?.id ?? null,
          JSON.stringify(parent?.layers ?? []),
          createdAt,
        ),
    );
  }

  async staged(id: BackupId): Promise<void> {
    await this.#run("UPDATE backup SET state = 'staged' WHERE id = ? AND state = 'intent'", id);
  }

  /** Forgets a backup whose layer was never moved and is gone. */
  async abandon(id: BackupId): Promise<void> {
    await this.#run("DELETE FROM backup WHERE id = ? AND state = 'intent'", id);
  }

  async measured(id: BackupId, bytes: number): Promise<void> {
    await this.#run("UPDATE backup SET staged_bytes = ? WHERE id = ?", bytes, id);
  }

  async failed(id: BackupId, failure: string, nextAttemptAt: bigint): Promise<void> {
    await this.#run(
      "UPDATE backup SET attempts = attempts + 1, failure = ?, next_attempt_at = ? WHERE id = ?",
      failure,
      nextAttemptAt,
      id,
    );
  }

  async stored(id: BackupId, { digest, size, location, storedAt }: StoredFacts): Promise<void> {
    await this.#run(
      `UPDATE backup SET state = 'stored', attempts = attempts + 1, failure = NULL, digest = ?, size = ?,
         location = ?, stored_at = ? WHERE id = ?`,
      digest,
      size,
      location,
      storedAt,
      id,
    );
  }

  async discarded(id: BackupId): Promise<void> {
    await this.#run("UPDATE backup SET discarded = 1, staged_bytes = NULL WHERE id = ?", id);
  }

  async remove(id: BackupId): Promise<void> {
    await this.#run("DELETE FROM backup WHERE id = ? AND state = 'stored' AND discarded = 1", id);
  }

  /** Ids of all, for telling which folders in staging belong to none. */
  ids(): ReadonlySet<BackupId> {
    const rows = this.#database.read((sql) => select(sql, "SELECT id FROM backup"));
    return new Set(rows.map((row) => backupId(String(row["id"]))));
  }

  #first(query: string, ...values: (string | bigint)[]): BackupRecord | undefined {
    return this.#all(query, ...values)[0];
  }

  #all(query: string, ...values: (string | bigint)[]): BackupRecord[] {
    return this.#database.read((sql) => select(sql, query, ...values).map(recordOf));
  }

  async #run(query: string, ...values: (string | bigint | number)[]): Promise<void> {
    await this.#database.write((sql) => sql.prepare(query).run(...values));
  }
}
