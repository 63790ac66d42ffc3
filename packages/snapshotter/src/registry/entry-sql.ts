import type { DatabaseSync } from "node:sqlite";
import {
  containerId,
  namespace,
  snapshotKey,
  type AnnouncedContainer,
  type ContainerEntry,
  type ContainerId,
  type ContainerState,
  type Namespace,
  type SnapshotKey,
} from "@aeon/core";
import type { BackendKey } from "./backend-key.ts";
import type { ContainerRecord } from "./container-source.ts";
import { entryOfRow, integerOf, textOf } from "./entry-row.ts";
import { isSandbox, podIdentityOf } from "./identity.ts";

/** What is known of a container when its snapshot appears. */
export interface NewEntry {
  readonly key: SnapshotKey;
  readonly parts: BackendKey;
  readonly upperdir?: string | undefined;
  readonly state: ContainerState;
  readonly at: bigint;
}

/** A key that comes back belongs to a new snapshot, so an older row gives way. */
export function insertEntry(sql: DatabaseSync, { key, parts, upperdir, state, at }: NewEntry): void {
  sql
    .prepare(
      `INSERT OR REPLACE INTO container
       (snapshot_key, namespace, sequence, client_key, upperdir, state, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(key, parts.namespace, parts.sequence, parts.clientKey, upperdir ?? null, state, at, at);
}

export function updateUpperdir(sql: DatabaseSync, key: SnapshotKey, upperdir: string, at: bigint): void {
  sql
    .prepare("UPDATE container SET upperdir = ?, updated_at = ? WHERE snapshot_key = ? AND upperdir IS NOT ?")
    .run(upperdir, at, key, upperdir);
}

/** Keeps an entry whose backup is under way, done or failed; forgets the others. */
export function removeEntry(sql: DatabaseSync, key: SnapshotKey, at: bigint): void {
  const kept = "state IN ('backing-up', 'backed-up', 'failed')";
  sql.prepare(`DELETE FROM container WHERE snapshot_key = ? AND NOT ${kept}`).run(key);
  markRemoved(sql, key, at);
}

export function updateIdentity(
  sql: DatabaseSync,
  key: SnapshotKey,
  record: ContainerRecord,
  at: bigint,
): void {
  const pod = podIdentityOf(record.labels);
  sql
    .prepare(
      `UPDATE container SET container_id = ?, image = ?, labels = ?, pod = coalesce(?, pod), sandbox = ?, updated_at = ?
       WHERE snapshot_key = ?`,
    )
    .run(
      record.id,
      record.image === "" ? null : record.image,
      JSON.stringify(record.labels),
      pod === undefined ? null : JSON.stringify(pod),
      isSandbox(record.labels) ? 1 : 0,
      at,
      key,
    );
}

/** Takes what a runtime tells before containerd has a record, which knows more. */
export function updateAnnounced(
  sql: DatabaseSync,
  key: SnapshotKey,
  { labels, pod }: Pick<AnnouncedContainer, "labels" | "pod">,
  at: bigint,
): void {
  sql
    .prepare(
      "UPDATE container SET labels = ?, pod = ?, updated_at = ? WHERE snapshot_key = ? AND container_id IS NULL",
    )
    .run(JSON.stringify(labels), JSON.stringify(pod), at, key);
}

export function updateState(
  sql: DatabaseSync,
  key: SnapshotKey,
  state: ContainerState,
  failure: string | undefined,
  at: bigint,
): void {
  sql
    .prepare("UPDATE container SET state = ?, failure = ?, updated_at = ? WHERE snapshot_key = ?")
    .run(state, state === "failed" ? (failure ?? "unknown") : null, at, key);
}

export function updateExit(
  sql: DatabaseSync,
  key: SnapshotKey,
  exit: NonNullable<ContainerEntry["exit"]>,
  at: bigint,
): void {
  sql
    .prepare("UPDATE container SET exit_code = ?, exited_at = ?, updated_at = ? WHERE snapshot_key = ?")
    .run(exit.code, exit.at, at, key);
}

/** A new task of the same container: what the last one left is void. */
export function updateStarted(sql: DatabaseSync, key: SnapshotKey, at: bigint): void {
  sql
    .prepare(
      `UPDATE container SET started = 1, exit_code = NULL, exited_at = NULL, out_of_memory = 0, updated_at = ?,
       state = CASE state WHEN 'preparing' THEN 'ready' ELSE state END WHERE snapshot_key = ?`,
    )
    .run(at, key);
}

export function updateOutOfMemory(sql: DatabaseSync, key: SnapshotKey, at: bigint): void {
  sql.prepare("UPDATE container SET out_of_memory = 1, updated_at = ? WHERE snapshot_key = ?").run(at, key);
}

export const selectByKey = (sql: DatabaseSync, key: SnapshotKey): ContainerEntry | undefined =>
  one(sql, "SELECT * FROM container WHERE snapshot_key = ?", key);

/** Of several containers that had the id, the one whose snapshot is there, else the latest. */
export const selectByContainer = (
  sql: DatabaseSync,
  space: Namespace,
  id: ContainerId,
): ContainerEntry | undefined =>
  one(
    sql,
    `SELECT * FROM container WHERE namespace = ? AND container_id = ?
     ORDER BY removed_at IS NOT NULL, created_at DESC LIMIT 1`,
    space,
    id,
  );

/** The container that had the id at the time: a late event must not reach its successor. */
export const selectByContainerAt = (
  sql: DatabaseSync,
  space: Namespace,
  id: ContainerId,
  at: bigint,
): ContainerEntry | undefined =>
  one(
    sql,
    `SELECT * FROM container WHERE namespace = ? AND container_id = ? AND created_at <= ?
     ORDER BY created_at DESC LIMIT 1`,
    space,
    id,
    at,
  );

/** The entry that containerd's client key stands for now: earlier ones with the same key are done with. */
export const selectLatest = (
  sql: DatabaseSync,
  space: Namespace,
  clientKey: string,
): ContainerEntry | undefined =>
  one(
    sql,
    "SELECT * FROM container WHERE namespace = ? AND client_key = ? ORDER BY sequence DESC LIMIT 1",
    space,
    clientKey,
  );

export const selectAll = (sql: DatabaseSync): readonly ContainerEntry[] =>
  prepared(sql, "SELECT * FROM container ORDER BY created_at, snapshot_key").all().map(entryOfRow);

export const selectByPod = (sql: DatabaseSync, uid: string): readonly ContainerEntry[] =>
  prepared(sql, "SELECT * FROM container WHERE pod ->> '$.uid' = ? ORDER BY created_at, snapshot_key")
    .all(uid)
    .map(entryOfRow);

/** Without a snapshot from now on, but still to be found until it is garbage. */
export const markRemoved = (sql: DatabaseSync, key: SnapshotKey, at: bigint): void =>
  void sql
    .prepare("UPDATE container SET removed_at = ? WHERE snapshot_key = ? AND removed_at IS NULL")
    .run(at, key);

/** Takes back {@link markRemoved}. */
export const markPresent = (sql: DatabaseSync, key: SnapshotKey): void =>
  void sql.prepare("UPDATE container SET removed_at = NULL WHERE snapshot_key = ?").run(key);

/** What reconciliation needs of an entry. */
export interface KnownEntry {
  readonly createdAt: bigint;
  readonly removed: boolean;
}

export const selectKnown = (sql: DatabaseSync): ReadonlyMap<SnapshotKey, KnownEntry> =>
  new Map(
    prepared(sql, "SELECT snapshot_key, created_at, removed_at FROM container")
      .all()
      .map((row) => [
        snapshotKey(textOf(row, "snapshot_key")),
        { createdAt: integerOf(row, "created_at"), removed: row["removed_at"] !== null },
      ]),
  );

/** Containers in a namespace whose task is thought to run, with their snapshots. */
export const selectRunning = (sql: DatabaseSync, space: Namespace): ReadonlyMap<ContainerId, SnapshotKey> =>
  new Map(
    prepared(
      sql,
      `SELECT container_id, snapshot_key FROM container
       WHERE namespace = ? AND started = 1 AND exited_at IS NULL AND container_id IS NOT NULL`,
    )
      .all(space)
      .map((row) => [containerId(textOf(row, "container_id")), snapshotKey(textOf(row, "snapshot_key"))]),
  );

/** Namespaces that have entries. */
export const selectNamespaces = (sql: DatabaseSync): readonly Namespace[] =>
  prepared(sql, "SELECT DISTINCT namespace FROM container")
    .all()
    .map((row) => namespace(textOf(row, "namespace")));

/** Client keys in a namespace whose latest entry has no container yet. */
export const selectUnidentified = (sql: DatabaseSync, space: Namespace): ReadonlySet<string> =>
  new Set(
    prepared(
      sql,
      `SELECT client_key, container_id, max(sequence) FROM container WHERE namespace = ? GROUP BY client_key
       HAVING container_id IS NULL`,
    )
      .all(space)
      .map((row) => textOf(row, "client_key")),
  );

/** Forgets entries removed before the time; those with a backup under way stay. */
export const deleteGarbage = (sql: DatabaseSync, before: bigint, failedBefore: bigint): number =>
  Number(
    sql
      .prepare(
        `DELETE FROM container WHERE removed_at IS NOT NULL AND
         (state NOT IN ('backing-up', 'failed') AND removed_at < ? OR state = 'failed' AND removed_at < ?)`,
      )
      .run(before, failedBefore).changes,
  );

function one(sql: DatabaseSync, query: string, ...values: (string | bigint)[]): ContainerEntry | undefined {
  const row = prepared(sql, query).get(...values);
  return row === undefined ? undefined : entryOfRow(row);
}

function prepared(sql: DatabaseSync, query: string): ReturnType<DatabaseSync["prepare"]> {
  const statement = sql.prepare(query);
  statement.setReadBigInts(true);
  return statement;
}
