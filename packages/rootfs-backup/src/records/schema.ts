/** The package's tables; see openDatabase for how the steps are used. Times are nanoseconds since the epoch. */
export const migrations: readonly string[] = [
  `CREATE TABLE backup (
    id TEXT PRIMARY KEY,
    snapshot_key TEXT NOT NULL,
    snapshot_created INTEGER NOT NULL,
    snapshot_parent TEXT,
    state TEXT NOT NULL CHECK (state IN ('intent', 'staged', 'stored')),
    upperdir TEXT NOT NULL,
    overlay TEXT NOT NULL CHECK (overlay IN ('trusted', 'user')),
    id_maps TEXT,
    identity TEXT NOT NULL,
    parent TEXT,
    parent_layers TEXT,
    created_at INTEGER NOT NULL,
    stored_at INTEGER,
    discarded INTEGER NOT NULL DEFAULT 0,
    trigger TEXT NOT NULL,
    consistency TEXT NOT NULL,
    final INTEGER NOT NULL,
    place TEXT NOT NULL CHECK (place IN ('snapshot', 'staging')),
    packed TEXT,
    layers TEXT,
    staged_bytes INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL DEFAULT 0,
    failure TEXT,
    digest TEXT,
    size INTEGER,
    location TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX backup_final ON backup (snapshot_key, snapshot_created) WHERE final = 1;
  CREATE INDEX backup_open ON backup (state, discarded) WHERE state <> 'stored' OR discarded = 0;
  CREATE TABLE restore (
    namespace TEXT NOT NULL,
    container_id TEXT NOT NULL,
    backup TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    requested_at INTEGER NOT NULL,
    finished_at INTEGER,
    failure TEXT,
    conflicts TEXT,
    PRIMARY KEY (namespace, container_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE binding (
    snapshot_key TEXT PRIMARY KEY,
    snapshot_created INTEGER NOT NULL,
    backup TEXT NOT NULL,
    layers TEXT NOT NULL,
    in_place TEXT NOT NULL,
    bound_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE freeze (
    namespace TEXT NOT NULL,
    container_id TEXT NOT NULL,
    backup TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (namespace, container_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE pod (
    uid TEXT PRIMARY KEY,
    labels TEXT NOT NULL,
    seen_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
  `ALTER TABLE backup ADD COLUMN squashed INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE backup ADD COLUMN uploaded_at INTEGER;
  ALTER TABLE pod ADD COLUMN ending TEXT`,
  `CREATE TABLE pod_policy (
    uid TEXT PRIMARY KEY,
    labels TEXT NOT NULL,
    decided_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE choice (
    id TEXT PRIMARY KEY,
    pod_namespace TEXT NOT NULL,
    pod TEXT NOT NULL,
    container TEXT NOT NULL,
    backup TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    failure TEXT
  ) STRICT, WITHOUT ROWID`,
];
