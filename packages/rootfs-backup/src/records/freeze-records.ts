import {
  backupId,
  containerId,
  namespace,
  type BackupId,
  type ContainerId,
  type Database,
  type Namespace,
} from "@aeon/core";
import { integer, select, text, type Row } from "./row.ts";

/** A container that may stand still because of us. */
export interface Freeze {
  readonly namespace: Namespace;
  readonly containerId: ContainerId;
  /** What it stands still for. */
  readonly backup: BackupId;
  /** Nanoseconds since the epoch. */
  readonly since: bigint;
}

const freezeOf = (row: Row): Freeze => ({
  namespace: namespace(text(row, "namespace")),
  containerId: containerId(text(row, "container_id")),
  backup: backupId(text(row, "backup")),
  since: integer(row, "since"),
});

/** Written before a container is made to stand still and deleted after it goes on, so that none is forgotten. */
export class FreezeRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  list(): readonly Freeze[] {
    return this.#database.read((sql) => select(sql, "SELECT * FROM freeze ORDER BY since").map(freezeOf));
  }

  async add({ namespace: space, containerId: id, backup, since }: Freeze): Promise<void> {
    await this.#database.write((sql) =>
      sql
        .prepare("INSERT OR REPLACE INTO freeze (namespace, container_id, backup, since) VALUES (?, ?, ?, ?)")
        .run(space, id, backup, since),
    );
  }

  async remove({ namespace: space, containerId: id }: Freeze): Promise<void> {
    await this.#database.write((sql) =>
      sql.prepare("DELETE FROM freeze WHERE namespace = ? AND container_id = ?").run(space, id),
    );
  }
}
