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

test("why a container ended may become known later, until its backup is stored", async () => {
  const folder = mkdtempSync(join(tmpdir(), "aeon-records-"));
  try {
    await using database = openDatabase({ path: join(folder, "backup.db"), migrations });
    const records = new BackupRecords(database);
    const pod = { uid: "u", name: "p", namespace: "n", container: "c" };
    const ended = (id: string): NewBackup => {
      const made = backup(id);
      return { ...made, trigger: "exited", identity: { ...made.identity, pod } };
    };
    const [early, late, live] = [backupId("early"), backupId("late"), backupId("live")];
    await records.settle(ended(early));
    await records.stored(early, facts);
    await records.settle(ended(late));
    await records.settle({ ...ended(live), trigger: "manual", final: false });
    await records.endedBy(late, "oom");
    expect(records.get(late)).toMatchObject({ trigger: "oom", identity: { outOfMemory: true, pod } });
    await records.evicted("other");
    expect(records.get(late)?.trigger).toBe("oom");
    await records.evicted("u");
    expect([early, late, live].map((id) => records.get(id)?.trigger)).toEqual([
      "exited",
      "evicted",
      "manual",
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const packed = {
  layer: {
    digest: "sha256:1",
    size: 10,
    diffId: "sha256:2",
    rawSize: 20,
    entries: 3,
    index: { mediaType: "i", digest: "sha256:3", size: 1 },
    toc: { mediaType: "t", digest: "sha256:4", size: 2 },
  },
  report: { counts: {}, deviations: [], deviationCount: 0, torn: 0, retried: 0 },
};

test("what was packed and uploaded is known to the next process, until it turns out to be wrong", async () => {
  const folder = mkdtempSync(join(tmpdir(), "aeon-records-"));
  const one = backupId("one");
  const open = () => openDatabase({ path: join(folder, "backup.db"), migrations });
  try {
    {
      await using database = open();
      const records = new BackupRecords(database);
      await records.intend(backup(one));
      await records.staged(one);
      await records.measured(one, 100);
      await records.failed(one, "no room", 5n);
      await records.archived(one, packed, true);
      await records.uploaded(one, 7n);
    }
    await using database = open();
    const records = new BackupRecords(database);
    const record = records.get(one);
    expect(record).toMatchObject({
      packed,
      squashed: true,
      uploadedAt: 7n,
      nextAttemptAt: 0n,
      stagedBytes: 113,
    });
    expect(record?.failure).toBeUndefined();
    await records.uploadLost(one);
    expect(records.get(one)?.uploadedAt).toBeUndefined();
    await records.spoiled(one);
    expect(records.get(one)?.packed).toBeUndefined();
    expect(records.get(one)?.squashed).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
