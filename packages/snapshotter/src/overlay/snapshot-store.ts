import type { DatabaseSync, StatementSync } from "node:sqlite";
import { openDatabase, type Database, type SnapshotKey, type SnapshotUsage } from "@aeon/core";
import { errors } from "../errors.ts";
import { recordOf, rowOf } from "./record-row.ts";
import type { SnapshotRecord } from "./record.ts";
import { migrations } from "./schema.ts";

interface Statements {
  readonly insert: StatementSync;
  readonly update: StatementSync;
  readonly measure: StatementSync;
  readonly remove: StatementSync;
}

const insertRow = `INSERT INTO snapshots (id, name, parent, kind, created_at, updated_at, labels, size, inodes)
  VALUES (:id, :name, :parent, :kind, :created_at, :updated_at, :labels, :size, :inodes)`;
const updateRow = `UPDATE snapshots SET name = :name, parent = :parent, kind = :kind, created_at = :created_at,
  updated_at = :updated_at, labels = :labels, size = :size, inodes = :inodes WHERE id = :id`;
const measureRow = `UPDATE snapshots SET size = :size, inodes = :inodes WHERE id = :id AND kind = 'committed'`;

/**
 * The records of all snapshots. Reads come from memory; every change is one transaction that is visible at once,
 * and all but removals are acknowledged when they are on disk. Methods that change something check nothing: callers do, in the same turn
 * of the event loop.
 */
export class SnapshotStore implements AsyncDisposable {
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #byKey = new Map<SnapshotKey, SnapshotRecord>();
  readonly #byId = new Map<number, SnapshotRecord>();
  readonly #children = new Map<number, number>();
  #lastId: number;
  #closed = false;

  /** Opens or creates the database file and holds it exclusively; throws as `openDatabase` does. */
  constructor(path: string) {
    this.#database = openDatabase({ path, migrations });
    this.#statements = this.#database.read(prepareStatements);
    this.#lastId = this.#database.read((sql) => this.#load(sql));
  }

  get(key: SnapshotKey): SnapshotRecord | undefined {
    return this.#byKey.get(key);
  }

  byId(id: number): SnapshotRecord | undefined {
    return this.#byId.get(id);
  }

  /** All records at this moment, by id. */
  all(): readonly SnapshotRecord[] {
    return [...this.#byId.values()].toSorted((a, b) => a.id - b.id);
  }

  hasChildren(id: number): boolean {
    return this.#children.has(id);
  }

  /** Ids of a record's ancestors, the parent first. */
  ancestors(record: SnapshotRecord): readonly number[] {
    const ids: number[] = [];
    for (let id = record.parent; id !== undefined; id = this.#byId.get(id)?.parent) ids.push(id);
    return ids;
  }

  /** A new id, above every id that was ever recorded or named to {@link skipTo}. */
  nextId(): number {
    return ++this.#lastId;
  }

  /** Keeps ids up to this one from being given out. */
  skipTo(id: number): void {
    this.#lastId = Math.max(this.#lastId, id);
  }

  async insert(record: SnapshotRecord): Promise<void> {
    this.assertOpen();
    await this.#database.write(
      () => void this.#statements.insert.run(rowOf(record)),
      () => this.#add(record),
    );
  }

  /** Puts `next` in the place of the record with the same id. */
  async replace(record: SnapshotRecord, next: SnapshotRecord): Promise<void> {
    this.assertOpen();
    await this.#database.write(
      () => void this.#statements.update.run(rowOf(next)),
      () => this.#swap(record, next),
    );
  }

  /**
   * Drops a record at once and gives when that is on disk. A power cut before may bring it back, which whoever
   * removed it finds out and removes it again.
   */
  remove(record: SnapshotRecord): Promise<void> {
    this.assertOpen();
    return this.#database.writeBehind(
      () => void this.#statements.remove.run(record.id),
      () => this.#drop(record),
    ).durable;
  }

  /** Resolves when every change so far is on disk. */
  async flushed(): Promise<void> {
    this.assertOpen();
    await this.#database.flushed();
  }

  /** Stores what a committed snapshot uses; nothing happens if it is gone. */
  async setUsage(id: number, usage: SnapshotUsage): Promise<void> {
    this.assertOpen();
    const record = this.#byId.get(id);
    if (record?.kind !== "committed") return;
    await this.#database.write(
      () => void this.#statements.measure.run({ id, size: usage.size, inodes: usage.inodes }),
      () => this.#swap(record, { ...record, usage }),
    );
  }

  /** Throws `SNAPSHOTTER_CLOSED` once disposed. */
  assertOpen(): void {
    if (this.#closed) throw errors.SNAPSHOTTER_CLOSED("the snapshotter is closed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#database[Symbol.asyncDispose]();
  }

  #load(sql: DatabaseSync): number {
    const rows = sql.prepare("SELECT * FROM snapshots ORDER BY id");
    rows.setReadBigInts(true);
    for (const row of rows.iterate()) this.#add(recordOf(row));
    const sequence = sql.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'snapshots'").get();
    return Number(sequence?.["seq"] ?? 0);
  }

  #add(record: SnapshotRecord): void {
    this.#byKey.set(record.key, record);
    this.#byId.set(record.id, record);
    if (record.parent !== undefined)
      this.#children.set(record.parent, (this.#children.get(record.parent) ?? 0) + 1);
  }

  #drop(record: SnapshotRecord): void {
    this.#byKey.delete(record.key);
    this.#byId.delete(record.id);
    this.#forgetChild(record.parent);
  }

  #swap(record: SnapshotRecord, next: SnapshotRecord): void {
    if (record.key !== next.key) this.#byKey.delete(record.key);
    this.#forgetChild(record.parent);
    this.#add(next);
  }

  #forgetChild(parent: number | undefined): void {
    if (parent === undefined) return;
    const left = (this.#children.get(parent) ?? 0) - 1;
    if (left > 0) this.#children.set(parent, left);
    else this.#children.delete(parent);
  }
}

function prepareStatements(sql: DatabaseSync): Statements {
  return {
    insert: sql.prepare(insertRow),
    update: sql.prepare(updateRow),
    measure: sql.prepare(measureRow),
    remove: sql.prepare("DELETE FROM snapshots WHERE id = ?"),
  };
}
