import { backupId, type BackupId, type Database, type PodIdentity } from "@aeon/core";
import * as v from "valibot";
import { present } from "../present.ts";
import { integer, optionalText, select, text, type Row } from "./row.ts";

/** Which backup the next container of a name in a pod starts with. */
export interface Choice {
  /** Names the choice; asking twice for the same one changes nothing. */
  readonly id: string;
  /** Namespace, name and container in Kubernetes; a pod of the same name that comes later is meant too. */
  readonly pod: Pick<PodIdentity, "namespace" | "name" | "container">;
  readonly backup: BackupId;
  /** Of two choices for one container the later one counts; nanoseconds since the epoch. */
  readonly requestedAt: bigint;
  readonly state: "pending" | "done" | "failed";
  /** Why it failed; for a pending one, why the last start failed. */
  readonly failure?: string;
}

const stateSchema = v.picklist(["pending", "done", "failed"]);

const choiceOf = (row: Row): Choice => ({
  id: text(row, "id"),
  pod: {
    namespace: text(row, "pod_namespace"),
    name: text(row, "pod"),
    container: text(row, "container"),
  },
  backup: backupId(text(row, "backup")),
  requestedAt: integer(row, "requested_at"),
  state: v.parse(stateSchema, row["state"]),
  ...present({ failure: optionalText(row, "failure") }),
});

const isOf = ({ pod }: Choice, { namespace, name, container }: Choice["pod"]): boolean =>
  pod.namespace === namespace && pod.name === name && pod.container === container;

/** Durable choices, with a copy in memory since every start asks. There are few at a time. */
export class ChoiceRecords {
  readonly #database: Database;
  readonly #choices: Map<string, Choice>;

  constructor(database: Database) {
    this.#database = database;
    const all = database.read((sql) => select(sql, "SELECT * FROM choice").map(choiceOf));
    this.#choices = new Map(all.map((choice) => [choice.id, choice]));
  }

  list(): readonly Choice[] {
    return [...this.#choices.values()];
  }

  get(id: string): Choice | undefined {
    return this.#choices.get(id);
  }

  /** The latest that waits for a container. */
  pending(pod: Choice["pod"]): Choice | undefined {
    if (this.#choices.size === 0) return undefined;
    return this.list()
      .filter((choice) => choice.state === "pending" && isOf(choice, pod))
      .toSorted((a, b) => Number(a.requestedAt - b.requestedAt) || a.id.localeCompare(b.id))
      .at(-1);
  }

  async put(choice: Choice): Promise<void> {
    const { id, pod, backup, requestedAt, state, failure } = choice;
    await this.#database.write(
      (sql) =>
        sql
          .prepare(
            `INSERT OR REPLACE INTO choice
             (id, pod_namespace, pod, container, backup, requested_at, state, failure)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
          )
          .run(id, pod.namespace, pod.name, pod.container, backup, requestedAt, state, failure ?? null),
      () => this.#choices.set(id, choice),
    );
  }

  async forget(id: string): Promise<void> {
    if (!this.#choices.has(id)) return;
    await this.#database.write(
      (sql) => sql.prepare("DELETE FROM choice WHERE id = ?").run(id),
      () => this.#choices.delete(id),
    );
  }
}
