import { backupId, type BackupId, type Database, type SnapshotKey } from "@aeon/core";
import type { Consistency } from "../capture/trigger.ts";
import type { Packed } from "../worker/job.ts";
import type { StoredLayer } from "../store/backup-document.ts";
import { recordOf, type BackupRecord, type NewBackup, type Place } from "./backup-record.ts";
import { select } from "./row.ts";

/** What storing a backup gave. */
export interface StoredFacts {
  readonly digest: string;
  readonly size: number;
  readonly location: string;
  readonly storedAt: bigint;
  /** The whole chain, the lowest first. */
  readonly layers: readonly StoredLayer[];
}

/** What an archive takes in staging. */
const archiveBytes = ({ layer }: Packed): number => layer.size + layer.index.size + layer.toc.size;

/** The backups made on this node. Every change is durable when it resolves. */
export class BackupRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(id: BackupId): BackupRecord | undefined {
    return this.#first("SELECT * FROM backup WHERE id = ?", id);
  }

  /** What a snapshot ended as; undefined while it may still change. */
  ofSnapshot(key: SnapshotKey, created: bigint): BackupRecord | undefined {
    return this.#first(
      "SELECT * FROM backup WHERE snapshot_key = ? AND snapshot_created = ? AND final = 1",
      key,
      created,
    );
  }

  /** What containers of a pod ended as, the latest first. */
  ofPod(uid: string): readonly BackupRecord[] {
    return this.#all(
      `SELECT * FROM backup WHERE identity ->> '$.pod.uid' = ? AND final = 1
       ORDER BY snapshot_created DESC, id DESC`,
      uid,
    );
  }

  /** Backups not stored yet that stand on the given one. */
  unfinishedOn(id: BackupId): readonly BackupRecord[] {
    return this.unfinished().filter(({ parent, state }) => parent?.id === id && state !== "stored");
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
         FROM backup WHERE state = 'staged' AND place = 'staging'`,
      ),
    );
    const oldest = row?.["oldest"];
    return {
      count: Number(row?.["count"] ?? 0),
      bytes: Number(row?.["bytes"] ?? 0),
      ...(typeof oldest === "bigint" && { oldest }),
    };
  }

  /** Writes down that a layer will be moved to staging. */
  async intend(backup: NewBackup): Promise<void> {
    await this.#insert(backup, "intent", "staging");
  }

  /** Writes down a layer that does not change any more and stays where it is. */
  async settle(backup: NewBackup): Promise<void> {
    await this.#insert(backup, "staged", "snapshot");
  }

  async #insert(backup: NewBackup, state: "intent" | "staged", place: Place): Promise<void> {
    const { id, snapshotKey, snapshotCreated, upperdir, overlay, idMaps, identity, parent, createdAt } =
      backup;
    await this.#database.write((sql) =>
      sql
        .prepare(
          `INSERT INTO backup (id, snapshot_key, snapshot_created, state, upperdir, overlay, id_maps, identity, parent,
             parent_layers, created_at, trigger, consistency, final, place, snapshot_parent)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          id,
          snapshotKey,
          snapshotCreated,
          state,
          upperdir,
          overlay,
          idMaps === undefined ? null : JSON.stringify(idMaps),
          JSON.stringify(identity),
          parent?.id ?? null,
          parent?.layers === undefined ? null : JSON.stringify(parent.layers),
          createdAt,
          backup.trigger,
          backup.consistency,
          backup.final ? 1 : 0,
          place,
          backup.snapshotParent ?? null,
        ),
    );
  }

  /** The layer was read where it lies, and the archive is in staging. */
  async packed(id: BackupId, consistency: Consistency, packed: Packed): Promise<void> {
    await this.#run(
      "UPDATE backup SET state = 'staged', consistency = ?, packed = ? WHERE id = ? AND state = 'intent'",
      consistency,
      JSON.stringify(packed),
      id,
    );
  }

  /** The archive of a staged layer is in staging beside it. */
  async archived(id: BackupId, packed: Packed, squashed: boolean): Promise<void> {
    await this.#run(
      `UPDATE backup SET packed = ?, squashed = ?, uploaded_at = NULL, failure = NULL, next_attempt_at = 0,
         staged_bytes = staged_bytes + ? WHERE id = ? AND state = 'staged'`,
      JSON.stringify(packed),
      squashed ? 1 : 0,
      archiveBytes(packed),
      id,
    );
  }

  /** The archive is not what was packed: the layer has to be packed again. */
  async spoiled(id: BackupId): Promise<void> {
    await this.#run(
      "UPDATE backup SET packed = NULL, squashed = 0, uploaded_at = NULL, staged_bytes = NULL WHERE id = ? AND state = 'staged'",
      id,
    );
  }

  /** The store has taken the archive. */
  async uploaded(id: BackupId, at: bigint): Promise<void> {
    await this.#run("UPDATE backup SET uploaded_at = ? WHERE id = ? AND state = 'staged'", at, id);
  }

  /** The store does not have it after all. */
  async uploadLost(id: BackupId): Promise<void> {
    await this.#run("UPDATE backup SET uploaded_at = NULL WHERE id = ?", id);
  }

  /** Why a container ended became known after its layer was taken; what is stored already says what was known then. */
  async endedBy(id: BackupId, trigger: "oom"): Promise<void> {
    await this.#run(
      `UPDATE backup SET trigger = ?, identity = json_set(identity, '$.outOfMemory', json('true'))
       WHERE id = ? AND state <> 'stored' AND trigger IN ('exited', 'restart', 'removed')`,
      trigger,
      id,
    );
  }

  /** The pod of containers that ended was evicted. */
  async evicted(podUid: string): Promise<void> {
    await this.#run(
      `UPDATE backup SET trigger = 'evicted' WHERE identity ->> '$.pod.uid' = ? AND final = 1 AND state <> 'stored'
         AND trigger IN ('exited', 'oom', 'removed')`,
      podUid,
    );
  }

  /** The layer has left its snapshot for staging, where it has to be deleted later. */
  async moved(id: BackupId): Promise<void> {
    await this.#run("UPDATE backup SET place = 'staging', discarded = 0 WHERE id = ?", id);
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

  async stored(id: BackupId, { digest, size, location, storedAt, layers }: StoredFacts): Promise<void> {
    await this.#run(
      `UPDATE backup SET state = 'stored', attempts = attempts + 1, failure = NULL, digest = ?, size = ?,
         location = ?, stored_at = ?, layers = ? WHERE id = ?`,
      digest,
      size,
      location,
      storedAt,
      JSON.stringify(layers),
      id,
    );
  }

  async discarded(id: BackupId): Promise<void> {
    await this.#run("UPDATE backup SET discarded = 1, staged_bytes = NULL WHERE id = ?", id);
  }

  /** Forgets a stored backup, unless one that is not stored yet stands on it; false while this node still has it. */
  async remove(id: BackupId): Promise<boolean> {
    await this.#run(
      `DELETE FROM backup WHERE id = ? AND state = 'stored' AND discarded = 1
         AND NOT EXISTS (SELECT 1 FROM backup AS child WHERE child.parent = ? AND child.state <> 'stored')`,
      id,
      id,
    );
    return this.get(id) === undefined;
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
