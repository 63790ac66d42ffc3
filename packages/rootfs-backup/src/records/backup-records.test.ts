import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backupId, openDatabase, snapshotKey, type BackupId } from "@aeon/core";
import { expect, test } from "vitest";
import type { NewBackup } from "./backup-record.ts";
import { BackupRecords } from "./backup-records.ts";
import { migrations } from "./schema.ts";

const backup = (id: string, parent?: BackupId): NewBackup => ({
  id: backupId(id),
  snapshotKey: snapshotKey(`default/1/${id}`),
  snapshotCreated: 1n,
  upperdir: `/upper/${id}`,
  overlay: "trusted",
  identity: { namespace: "default", containerId: id, snapshotKey: `default/1/${id}`, labels: {} },
  createdAt: 1n,
  trigger: "removed",
  consistency: "exact",
  final: true,
  ...(parent !== undefined && { parent: { id: parent } }),
});

const facts = { digest: "sha256:0", size: 1, location: "here", storedAt: 2n, layers: [] };

test("a backup stays while one that stands on it is not stored", async () => {
  const folder = mkdtempSync(join(tmpdir(), "aeon-records-"));
  try {
    await using database = openDatabase({ path: join(folder, "backup.db"), migrations });
    const records = new BackupRecords(database);
    const [parent, child] = [backupId("parent"), backupId("child")];
    await records.intend(backup(parent));
    await records.staged(parent);
    await records.stored(parent, facts);
    await records.discarded(parent);
    await records.intend(backup(child, parent));
    expect(await records.remove(parent)).toBe(false);
    await records.staged(child);
    expect(await records.remove(parent)).toBe(false);
    await records.stored(child, facts);
    expect(await records.remove(parent)).toBe(true);
    expect(records.get(parent)).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
