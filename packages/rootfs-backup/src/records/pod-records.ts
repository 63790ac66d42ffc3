import type { Database, Labels, PodEndReason } from "@aeon/core";
import * as v from "valibot";
import { select, text } from "./row.ts";

/** How long a pod is remembered after its sandbox went: its containers go in the same minutes. */
const rememberedNs = 24n * 3600n * 1_000_000_000n;

/** How long a decision counts that nobody repeats, as the cluster's watch does at least at each start. */
const decidedNs = 30n * rememberedNs;

const labelsSchema = v.record(v.string(), v.string());

/**
 * What pods ask for. A pod's labels are on its sandbox only, and the sandbox may be removed before the pod's
 * containers are.
 */
export class PodRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Empty for a pod that asked for nothing. */
  labels(uid: string): Labels {
    const [row] = this.#database.read((sql) => select(sql, "SELECT labels FROM pod WHERE uid = ?", uid));
    return row === undefined ? {} : v.parse(labelsSchema, JSON.parse(text(row, "labels")));
  }

  async remember(uid: string, labels: Labels, now: bigint): Promise<void> {
    await this.#database.write((sql) => {
      sql.prepare("DELETE FROM pod WHERE seen_at < ?").run(now - rememberedNs);
      sql
        .prepare(
          `INSERT INTO pod (uid, labels, seen_at) VALUES (?, ?, ?)
           ON CONFLICT (uid) DO UPDATE SET labels = excluded.labels, seen_at = excluded.seen_at`,
        )
        .run(uid, JSON.stringify(labels), now);
    });
  }

  /** What policies said of the pod; empty when none did. */
  policy(uid: string): Labels {
    const [row] = this.#database.read((sql) =>
      select(sql, "SELECT labels FROM pod_policy WHERE uid = ?", uid),
    );
    return row === undefined ? {} : v.parse(labelsSchema, JSON.parse(text(row, "labels")));
  }

  async decided(uid: string, labels: Labels, now: bigint): Promise<void> {
    await this.#database.write((sql) => {
      sql.prepare("DELETE FROM pod_policy WHERE uid = ? OR decided_at < ?").run(uid, now - decidedNs);
      if (Object.keys(labels).length > 0)
        sql
          .prepare("INSERT INTO pod_policy (uid, labels, decided_at) VALUES (?, ?, ?)")
          .run(uid, JSON.stringify(labels), now);
    });
  }

  /** Why the pod ends; undefined when nobody said. */
  ending(uid: string): PodEndReason | undefined {
    const [row] = this.#database.read((sql) => select(sql, "SELECT ending FROM pod WHERE uid = ?", uid));
    return row?.["ending"] === "evicted" ? "evicted" : undefined;
  }

  async ends(uid: string, reason: PodEndReason, now: bigint): Promise<void> {
    await this.#database.write((sql) =>
      sql
        .prepare(
          `INSERT INTO pod (uid, labels, seen_at, ending) VALUES (?, '{}', ?, ?)
           ON CONFLICT (uid) DO UPDATE SET seen_at = excluded.seen_at, ending = excluded.ending`,
        )
        .run(uid, now, reason),
    );
  }
}
