import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backupId } from "@aeon/core";
import { expect, test } from "vitest";
import type { BackupDocument, StoredLayer } from "./backup-document.ts";
import { digestOf, hexOf } from "./digest.ts";
import { posixStore } from "./posix-store.ts";

function temporary(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "aeon-store-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

const layerOf = (content: string): StoredLayer => ({
  digest: digestOf(content),
  size: content.length,
  diffId: digestOf(`raw ${content}`),
  rawSize: 10,
  entries: 1,
  backup: "one",
});

const documentOf = (id: string, ...layers: StoredLayer[]): BackupDocument => ({
  format: 1,
  id,
  identity: { namespace: "default", containerId: "c", snapshotKey: "default/1/c", labels: { a: "b" } },
  createdAt: "1700000000000000000",
  trigger: "removed",
  consistency: "exact",
  layers,
  report: { counts: { files: 1 }, deviations: [], deviationCount: 0 },
});

async function put(path: string, content: string): Promise<StoredLayer> {
  await using store = posixStore(path, "node");
  const layer = layerOf(content);
  const file = join(await store.spool(), `new-${Math.random()}`);
  writeFileSync(file, content);
  await store.putLayer(file, layer);
  return layer;
}

test("gives back what was put, and lists it; a second time changes nothing", async () => {
  using dir = temporary();
  const layer = await put(dir.path, "content");
  await put(dir.path, "content");
  await using store = posixStore(dir.path, "node");
  const document = documentOf("one", layer);
  const first = await store.putBackup(document);
  expect(await store.putBackup(document)).toEqual(first);
  expect(await store.getBackup(backupId("one"))).toEqual(first);
  expect(first.document).toEqual(document);
  expect(await store.listBackups()).toEqual(["one"]);
  expect(readFileSync(await store.openLayer(layer, AbortSignal.timeout(1000)), "utf8")).toBe("content");
  expect(readdirSync(join(dir.path, "tmp/node"))).toEqual([]);
  expect(JSON.parse(readFileSync(join(dir.path, "oci-layout"), "utf8"))).toEqual({
    imageLayoutVersion: "1.0.0",
  });
});

test("a taken name keeps what it stands for", async () => {
  using dir = temporary();
  await using store = posixStore(dir.path, "node");
  const first = await store.putBackup(documentOf("one", await put(dir.path, "a")));
  expect(await store.putBackup(documentOf("one", await put(dir.path, "b")))).toEqual(first);
});

test("names no backup whose layers are not there", async () => {
  using dir = temporary();
  await using store = posixStore(dir.path, "node");
  await expect(store.putBackup(documentOf("one", layerOf("absent")))).rejects.toMatchObject({
    reason: "BACKUP_DAMAGED",
  });
  expect(await store.listBackups()).toEqual([]);
  expect(await store.getBackup(backupId("one"))).toBeUndefined();
});

test("refuses manifests that were altered, cut or swapped", async () => {
  using dir = temporary();
  await using store = posixStore(dir.path, "node");
  const { digest } = await store.putBackup(documentOf("one", await put(dir.path, "a")));
  await store.putBackup(documentOf("two", await put(dir.path, "a")));
  const blob = join(dir.path, "blobs/sha256", hexOf(digest));
  const ref = (id: string) => join(dir.path, "refs", `${id}.json`);
  const get = () => store.getBackup(backupId("one"));
  const whole = readFileSync(blob, "utf8");
  writeFileSync(blob, whole.replace("application", "Application"));
  await expect(get()).rejects.toMatchObject({ code: "data-loss", reason: "BACKUP_DAMAGED" });
  truncateSync(blob, 10);
  await expect(get()).rejects.toMatchObject({ reason: "BACKUP_DAMAGED" });
  rmSync(blob);
  await expect(get()).rejects.toMatchObject({ reason: "BACKUP_DAMAGED" });
  writeFileSync(ref("one"), readFileSync(ref("two")));
  await expect(get()).rejects.toThrow(/leads to backup two/);
  writeFileSync(ref("one"), "{");
  await expect(get()).rejects.toMatchObject({ reason: "BACKUP_DAMAGED" });
});

test("a layer of another size is no layer", async () => {
  using dir = temporary();
  await using store = posixStore(dir.path, "node");
  const layer = await put(dir.path, "content");
  await expect(store.openLayer({ ...layer, size: 6 }, AbortSignal.timeout(1000))).rejects.toMatchObject({
    reason: "BACKUP_DAMAGED",
  });
});

test("a removed backup is gone, its layers are not", async () => {
  using dir = temporary();
  await using store = posixStore(dir.path, "node");
  const layer = await put(dir.path, "a");
  await store.putBackup(documentOf("one", layer));
  await store.removeBackup(backupId("one"));
  await store.removeBackup(backupId("one"));
  expect(await store.listBackups()).toEqual([]);
  expect(await store.openLayer(layer, AbortSignal.timeout(1000))).toContain(hexOf(layer.digest));
});

test("a folder that cannot be made fails each call until it can", async () => {
  using dir = temporary();
  const path = join(dir.path, "store");
  writeFileSync(path, "in the way");
  await using store = posixStore(path, "node");
  await expect(store.listBackups()).rejects.toMatchObject({ reason: "STORE_UNUSABLE" });
  rmSync(path);
  expect(await store.listBackups()).toEqual([]);
});

test("what a writer left half written goes at its next start, that of others stays", async () => {
  using dir = temporary();
  const leaveFile = async (writer: string): Promise<string> => {
    await using store = posixStore(dir.path, writer);
    const file = join(await store.spool(), "half");
    writeFileSync(file, "half");
    return file;
  };
  const own = await leaveFile("node");
  const foreign = await leaveFile("other");
  await using store = posixStore(dir.path, "node");
  await store.listBackups();
  expect([existsSync(own), existsSync(foreign)]).toEqual([false, true]);
});
