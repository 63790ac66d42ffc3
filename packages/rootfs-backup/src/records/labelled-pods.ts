import type { Database } from "@aeon/core";
import { select } from "./row.ts";

/** How long a pod is remembered after its sandbox went: its containers go in the same minutes. */
const rememberedNs = 24n * 3600n * 1_000_000_000n;

/**
 * Pods whose sandbox asked for backups. A pod's labels are on its sandbox only, and the sandbox may be removed
 * before the pod's containers are.
 */
export class LabelledPods {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  has(uid: string): boolean {
    return this.#database.read(
      (sql) => select(sql, "SELECT uid FROM labelled_pod WHERE uid = ?", uid).length > 0,
    );
  }

  async remember(uid: string, now: bigint): Promise<void> {
    await this.#database.write((sql) => {
      sql.prepare("DELETE FROM labelled_pod WHERE seen_at < ?").run(now - rememberedNs);
      sql.prepare("INSERT OR REPLACE INTO labelled_pod (uid, seen_at) VALUES (?, ?)").run(uid, now);
    });
  }
}
