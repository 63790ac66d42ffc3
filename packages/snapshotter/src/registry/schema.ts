/** The registry's tables; see openDatabase for how the steps are used. */
export const migrations: readonly string[] = [
  `CREATE TABLE container (
    snapshot_key TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    client_key TEXT NOT NULL,
    container_id TEXT,
    upperdir TEXT,
    image TEXT,
    labels TEXT NOT NULL DEFAULT '{}',
    pod TEXT,
    sandbox INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    started INTEGER NOT NULL DEFAULT 0,
    exit_code INTEGER,
    exited_at INTEGER,
    out_of_memory INTEGER NOT NULL DEFAULT 0,
    failure TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    removed_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX container_by_client_key ON container (namespace, client_key, sequence);
  CREATE INDEX container_by_id ON container (namespace, container_id, created_at);
  CREATE INDEX container_by_pod ON container (pod ->> '$.uid') WHERE pod IS NOT NULL;
  CREATE INDEX container_removed ON container (removed_at) WHERE removed_at IS NOT NULL`,
];
