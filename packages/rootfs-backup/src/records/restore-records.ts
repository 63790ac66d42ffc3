import {
  backupId,
  containerId,
  namespace,
  type BackupId,
  type ContainerId,
  type Database,
  type Namespace,
} from "@aeon/core";
import * as v from "valibot";
import type { Conflicts } from "../restore/conflicts.ts";
import { present } from "../present.ts";
import { integer, optionalInteger, optionalText, select, text, type Row } from "./row.ts";

/** `pending`: waits for the container to start. */
export type RestoreState = "pending" | "done" | "failed";

/** A wish that a container starts with the files of a backup. Times are nanoseconds since the epoch. */
export interface Restore {
  readonly backupId: BackupId;
  readonly namespace: Namespace;
  readonly containerId: ContainerId;
  readonly state: RestoreState;
  readonly requestedAt: bigint;
  readonly finishedAt?: bigint;
  /** Why it failed; for a pending one, why the last start failed. */
  readonly failure?: string;
  /** What the backup changed and its image too, when it was put on another image. */
  readonly conflicts?: Conflicts;
}

const conflictsSchema = v.object({ paths: v.array(v.string()), count: v.number() });

const stateSchema = v.picklist(["pending", "done", "failed"]);

const conflictsOf = (json: string | undefined): Conflicts | undefined =>
  json === undefined ? undefined : v.parse(conflictsSchema, JSON.parse(json));

const restoreOf = (row: Row): Restore => ({
  backupId: backupId(text(row, "backup")),
  namespace: namespace(text(row, "namespace")),
  containerId: containerId(text(row, "container_id")),
  state: v.parse(stateSchema, row["state"]),
  requestedAt: integer(row, "requested_at"),
  ...present({
    finishedAt: optionalInteger(row, "finished_at"),
    failure: optionalText(row, "failure"),
    conflicts: conflictsOf(optionalText(row, "conflicts")),
  }),
});

/** Durable restore requests; at most one per container. The pending ones are kept in memory too. */
export class RestoreRecords {
  readonly #database: Database;
  readonly #pending = new Map<string, Restore>();

  constructor(database: Database) {
    this.#database = database;
    for (const restore of this.list())
      if (restore.state === "pending") this.#pending.set(nameOf(restore), restore);
  }

  /** True when nobody waits: the usual case, which costs a start nothing. */
  get idle(): boolean {
    return this.#pending.size === 0;
  }

  pending(space: Namespace, id: ContainerId): Restore | undefined {
    return this.#pending.get(nameOf({ namespace: space, containerId: id }));
  }

  /** Newest first. */
  list(): readonly Restore[] {
    return this.#database.read((sql) =>
      select(sql, "SELECT * FROM restore ORDER BY requested_at DESC, namespace, container_id").map(restoreOf),
    );
  }

  /** Replaces an earlier request for the same container. */
  async request(
    restore: Pick<Restore, "backupId" | "namespace" | "containerId" | "requestedAt">,
  ): Promise<Restore> {
    const wanted: Restore = { ...restore, state: "pending" };
    await this.#database.write(
      (sql) =>
        sql
          .prepare(
            `INSERT OR REPLACE INTO restore (namespace, container_id, backup, state, requested_at)
             VALUES (?, ?, ?, 'pending', ?)`,
          )
          .run(wanted.namespace, wanted.containerId, wanted.backupId, wanted.requestedAt),
      () => this.#pending.set(nameOf(wanted), wanted),
    );
    return wanted;
  }

  /** Notes why a start failed; the request stays pending. */
  async note(restore: Restore, failure: string): Promise<void> {
    await this.#database.write((sql) =>
      sql
        .prepare(
          "UPDATE restore SET failure = ? WHERE namespace = ? AND container_id = ? AND state = 'pending'",
        )
        .run(failure, restore.namespace, restore.containerId),
    );
  }

  async finish(
    restore: Restore,
    finishedAt: bigint,
    { failure, conflicts }: Pick<Restore, "failure" | "conflicts"> = {},
  ): Promise<void> {
    await this.#database.write(
      (sql) =>
        sql
          .prepare(
            `UPDATE restore SET state = ?, finished_at = ?, failure = ?, conflicts = ?
             WHERE namespace = ? AND container_id = ? AND backup = ?`,
          )
          .run(
            failure === undefined ? "done" : "failed",
            finishedAt,
            failure ?? null,
            conflicts === undefined ? null : JSON.stringify(conflicts),
            restore.namespace,
            restore.containerId,
            restore.backupId,
          ),
      () => {
        if (this.#pending.get(nameOf(restore))?.backupId === restore.backupId)
          this.#pending.delete(nameOf(restore));
      },
    );
  }
}

const nameOf = (restore: Pick<Restore, "namespace" | "containerId">): string =>
  `${restore.namespace}/${restore.containerId}`;
