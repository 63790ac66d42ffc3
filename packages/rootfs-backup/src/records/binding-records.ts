import { backupId, snapshotKey, type BackupId, type Database, type SnapshotKey } from "@aeon/core";
import * as v from "valibot";
import { hexOf } from "../store/digest.ts";
import { layerId } from "../restore/layer-name.ts";
import { layersSchema, type StoredLayer } from "../store/backup-document.ts";
import { integer, select, text, type Row } from "./row.ts";

/** A snapshot that has the layers of a backup under it, from its first Mounts until it is removed. */
export interface Binding {
  readonly snapshotKey: SnapshotKey;
  /** Tells a snapshot from a later one of the same key; nanoseconds since the epoch. */
  readonly snapshotCreated: bigint;
  readonly backup: BackupId;
  /** The lowest first. */
  readonly layers: readonly StoredLayer[];
  /** Backups of this node above those layers whose files are used where they lie, the lowest first. */
  readonly inPlace: readonly BackupId[];
  readonly boundAt: bigint;
}

const idsSchema = v.array(v.string());

const bindingOf = (row: Row): Binding => ({
  snapshotKey: snapshotKey(text(row, "snapshot_key")),
  snapshotCreated: integer(row, "snapshot_created"),
  backup: backupId(text(row, "backup")),
  layers: v.parse(layersSchema, JSON.parse(text(row, "layers"))),
  inPlace: v.parse(idsSchema, JSON.parse(text(row, "in_place"))).map(backupId),
  boundAt: integer(row, "bound_at"),
});

/** Durable bindings, with a copy in memory since every Mounts asks. */
export class BindingRecords {
  readonly #database: Database;
  readonly #bindings: Map<SnapshotKey, Binding>;
  readonly #releasing = new Set<Promise<void>>();
  #onRelease: () => void = () => {};

  constructor(database: Database) {
    this.#database = database;
    const all = database.read((sql) => select(sql, "SELECT * FROM binding").map(bindingOf));
    this.#bindings = new Map(all.map((binding) => [binding.snapshotKey, binding]));
  }

  get(key: SnapshotKey): Binding | undefined {
    return this.#bindings.get(key);
  }

  list(): readonly Binding[] {
    return [...this.#bindings.values()];
  }

  /** Calls the function whenever a snapshot no longer needs what was under it. */
  onRelease(listener: () => void): void {
    this.#onRelease = listener;
  }

  /** True while a snapshot stands on the files of the backup where they lie. */
  standsOn(id: BackupId): boolean {
    for (const { inPlace } of this.#bindings.values()) if (inPlace.includes(id)) return true;
    return false;
  }

  /** The snapshots that stand on a backup, in whatever form. */
  standingOn(id: BackupId): readonly SnapshotKey[] {
    return this.list()
      .filter(({ backup, inPlace }) => backup === id || inPlace.includes(id))
      .map(({ snapshotKey: key }) => key);
  }

  /**
   * Ids ({@link layerId}) of the layers that a snapshot may be mounted on. Digests too: aeon once named unpacked layers
   * by them alone, and a container that was started then still runs on such a folder.
   */
  layersInUse(): ReadonlySet<string> {
    const layers = this.list().flatMap((binding) => binding.layers);
    return new Set(layers.flatMap((layer) => [layerId(layer), hexOf(layer.digest)]));
  }

  async bind(binding: Binding): Promise<void> {
    const { snapshotKey: key, snapshotCreated, backup, layers, inPlace, boundAt } = binding;
    await this.#database.write(
      (sql) =>
        sql
          .prepare(
            `INSERT OR REPLACE INTO binding (snapshot_key, snapshot_created, backup, layers, in_place, bound_at)
             VALUES (?, ?, ?, ?, ?, ?)`,
          )
          .run(key, snapshotCreated, backup, JSON.stringify(layers), JSON.stringify(inPlace), boundAt),
      () => this.#bindings.set(key, binding),
    );
  }

  async release(key: SnapshotKey): Promise<void> {
    if (!this.#bindings.has(key)) return;
    const work = this.#delete(key);
    this.#releasing.add(work);
    await work.finally(() => this.#releasing.delete(work));
  }

  /** Resolves when the releases under way are done, however they end. */
  async released(): Promise<void> {
    await Promise.allSettled(this.#releasing);
  }

  async #delete(key: SnapshotKey): Promise<void> {
    await this.#database.write(
      (sql) => sql.prepare("DELETE FROM binding WHERE snapshot_key = ?").run(key),
      () => this.#bindings.delete(key),
    );
    this.#onRelease();
  }
}
