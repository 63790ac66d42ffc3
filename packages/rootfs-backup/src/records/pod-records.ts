import type { Database, Labels } from "@aeon/core";
import * as v from "valibot";
import { select, text } from "./row.ts";

/** How long a pod is remembered after its sandbox went: its containers go in the same minutes. */
const rememberedNs = 24n * 3600n * 1_000_000_000n;

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
        .prepare("INSERT OR REPLACE INTO pod (uid, labels, seen_at) VALUES (?, ?, ?)")
        .run(uid, JSON.stringify(labels), now);
    });
  }
}
