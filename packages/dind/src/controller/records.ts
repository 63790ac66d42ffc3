import { openDatabase, type Database } from "@aeon/core";

/** What is known of one DinD container across restarts of the agent; written before anything of it is made. */
export interface DindRecord {
  readonly namespace: string;
  readonly id: string;
  /** `armed`: the socket waits for a first client. `removing`: whatever is left has to go. */
  readonly wanted: "armed" | "running" | "stopped" | "removing";
  /** The main container's process, which names its life. */
  readonly pid: number;
  readonly startTime: string;
  /** Inode numbers of the sockets in the main container. */
  readonly sockets: readonly string[];
  /** Network devices that the main container had before. */
  readonly links: readonly string[];
  /** Its IPv4 forwarding before. */
  readonly forward: string;
  readonly snapshotter: string;
  /** Its cgroup; absent in records of earlier versions. */
  readonly cgroup?: string;
}

const migrations = [
  `CREATE TABLE dind (
     namespace TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL,
     PRIMARY KEY (namespace, id)
   ) STRICT, WITHOUT ROWID`,
];

/** The records, each change durable before it is acted on. */
export class DindRecords implements AsyncDisposable {
  readonly #database: Database;
  readonly #records = new Map<string, DindRecord>();

  constructor(path: string) {
    this.#database = openDatabase({ path, migrations });
    const rows = this.#database.read((sql) => sql.prepare("SELECT record FROM dind").all());
    for (const row of rows) {
      const record: DindRecord = JSON.parse(String(row["record"]));
      this.#records.set(keyOf(record), record);
    }
  }

  list(): readonly DindRecord[] {
    return [...this.#records.values()];
  }

  get(namespace: string, id: string): DindRecord | undefined {
    return this.#records.get(keyOf({ namespace, id }));
  }

  async put(record: DindRecord): Promise<DindRecord> {
    const { namespace, id } = record;
    await this.#database.write(
      (sql) =>
        sql
          .prepare("INSERT OR REPLACE INTO dind (namespace, id, record) VALUES (?, ?, ?)")
          .run(namespace, id, JSON.stringify(record)),
      () => void this.#records.set(keyOf(record), record),
    );
    return record;
  }

  async delete({ namespace, id }: Pick<DindRecord, "namespace" | "id">): Promise<void> {
    await this.#database.write(
      (sql) => sql.prepare("DELETE FROM dind WHERE namespace = ? AND id = ?").run(namespace, id),
      () => void this.#records.delete(keyOf({ namespace, id })),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database[Symbol.asyncDispose]();
  }
}

const keyOf = ({ namespace, id }: Pick<DindRecord, "namespace" | "id">): string => `${namespace}/${id}`;
