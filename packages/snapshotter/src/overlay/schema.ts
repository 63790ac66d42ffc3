/** Schema steps of the snapshot database; a released step is never edited. */
export const migrations = [
  `CREATE TABLE snapshots (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     name TEXT NOT NULL UNIQUE CHECK (name <> ''),
     parent INTEGER REFERENCES snapshots (id),
     kind TEXT NOT NULL CHECK (kind IN ('view', 'active', 'committed')),
     created_at INTEGER NOT NULL,
     updated_at INTEGER NOT NULL,
     labels TEXT NOT NULL,
     size INTEGER,
     inodes INTEGER
   ) STRICT;
   CREATE INDEX snapshots_parent ON snapshots (parent) WHERE parent IS NOT NULL`,
] as const;
