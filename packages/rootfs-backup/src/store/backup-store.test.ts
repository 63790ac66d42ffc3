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
import { backupId, silentLogger } from "@aeon/core";
import { expect, test } from "vitest";
import { posixObjects } from "../objects/posix/posix-objects.ts";
import type { BackupDraft, StoredLayer } from "./backup-document.ts";
import type { BackupStore } from "./backup-store.ts";
import { digestOf, hexOf } from "./digest.ts";
import { layout } from "./layout.ts";
import { backupStore } from "./object-backup-store.ts";

const { signal } = new AbortController();

function temporary(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "aeon-store-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

const open = (path: string, writer = "node"): BackupStore =>
  backupStore({ objects: posixObjects({ path, writer }), log: silentLogger });

const blob = (text: string) => ({ mediaType: "x", digest: digestOf(text), size: text.length });

const layerOf = (content: string, tenant = "default"): StoredLayer => ({
  tenant,
  digest: digestOf(content),
  size: content.length,
  diffId: digestOf(`raw ${content}`),
  rawSize: 10,
  entries: 1,
  backup: "one",
  index: blob(`${content} index`),
  toc: blob(`${content} toc`),
});

interface Made {
  readonly tenant?: string;
  readonly workload?: string;
  readonly parent?: string;
  readonly node?: string;
  readonly createdAt?: number;
}

const draftOf = (id: string, layers: readonly StoredLayer[], made: Made = {}): BackupDraft => ({
  format: 1,
  id,
  chain: { tenant: made.tenant ?? "default", workload: made.workload ?? "web", container: "main" },
  node: made.node ?? "n1",
  identity: { namespace: "default", containerId: "c", snapshotKey: "default/1/c", labels: { a: "b" } },
  createdAt: String(made.createdAt ?? 1_700_000_000_000_000_000),
  trigger: "removed",
  consistency: "exact",
  ...(made.parent !== undefined && { parent: made.parent }),
  layers: [...layers],
  report: { counts: { files: 1 }, deviations: [], deviationCount: 0 },
});

async function put(store: BackupStore, content: string, tenant?: string): Promise<StoredLayer> {
  const layer = layerOf(content, tenant);
  const file = join(await store.spool(signal), `new-${Math.random()}`);
  const files = { layer: file, index: `${file}.index`, toc: `${file}.toc` };
  writeFileSync(files.layer, content);
  writeFileSync(files.index, `${content} index`);
  writeFileSync(files.toc, `${content} toc`);
  await store.putLayer(files, layer, { signal });
  return layer;
}

const idsOf = async (store: BackupStore, filter = {}): Promise<readonly string[]> => {
  const ids: string[] = [];
  for await (const { id } of store.list(filter, signal)) ids.push(id);
  return ids.toSorted();
};

test("gives back what was put, and lists it; a second time changes nothing", async () => {
  using dir = temporary();
  await using store = open(dir.path);
  const layer = await put(store, "content");
  await put(store, "content");
  const draft = draftOf("one", [layer]);
  const first = await store.putBackup(draft, signal);
  expect(await store.putBackup(draft, signal)).toEqual(first);
  expect(await store.getBackup(backupId("one"), signal)).toEqual(first);
  expect(await store.getBackup(backupId("one"), signal, "default")).toEqual(first);
  expect(await store.getBackup(backupId("one"), signal, "other")).toBeUndefined();
  expect(first.document).toEqual({ ...draft, seq: 1, epoch: 1 });
  expect(existsSync(first.location)).toBe(true);
  expect(await idsOf(store)).toEqual(["one"]);
  await using file = await store.openLayer(layer, signal);
  expect(readFileSync(file.path, "utf8")).toBe("content");
  expect((await store.readBlob("default", layer.toc, { offset: 8, length: 3 }, signal)).toString()).toBe(
    "toc",
  );
  expect(readdirSync(join(dir.path, "tmp/node/spool"))).toEqual([]);
  expect(readdirSync(join(dir.path, "t/default/publishing"))).toEqual([]);
  const tenant = join(dir.path, "t/default");
  expect(JSON.parse(readFileSync(join(tenant, "oci-layout"), "utf8"))).toEqual({
    imageLayoutVersion: "1.0.0",
  });
});

test("an id that is taken keeps what it stands for", async () => {
  using dir = temporary();
  await using store = open(dir.path);
  const first = await store.putBackup(draftOf("one", [await put(store, "a")]), signal);
  expect(await store.putBackup(draftOf("one", [await put(store, "b")]), signal)).toEqual(first);
});

test("names no backup whose layers are not there", async () => {
  using dir = temporary();
  await using store = open(dir.path);
  await expect(store.putBackup(draftOf("one", [layerOf("absent")]), signal)).rejects.toMatchObject({
    reason: "LAYER_MISSING",
  });
  expect(await idsOf(store)).toEqual([]);
  expect(await store.getBackup(backupId("one"), signal)).toBeUndefined();
});

test("refuses manifests that were altered, cut, swapped or blown up", async () => {
  using dir = temporary();
  await using store = open(dir.path);
  const { digest } = await store.putBackup(draftOf("one", [await put(store, "a")]), signal);
  await store.putBackup(draftOf("two", [await put(store, "a")]), signal);
  const manifest = join(dir.path, layout.blob("default", digest));
  const pointer = (id: string) => join(dir.path, layout.pointer("default", id));
  const get = () => store.getBackup(backupId("one"), signal);
  const whole = readFileSync(manifest, "utf8");
  writeFileSync(manifest, whole.replace("application", "Application"));
  await expect(get()).rejects.toMatchObject({ code: "data-loss", reason: "BACKUP_DAMAGED" });
  truncateSync(manifest, 10);
  await expect(get()).rejects.toMatchObject({ reason: "BACKUP_DAMAGED" });
  truncateSync(manifest, 6 << 20);
  await expect(get()).rejects.toThrow(/larger than 4194304 bytes/);
  rmSync(manifest);
  await expect(get()).rejects.toThrow(/is missing/);
  const good = readFileSync(pointer("one"));
  writeFileSync(pointer("one"), readFileSync(pointer("two")));
  await expect(get()).rejects.toThrow(/names backup two/);
  writeFileSync(pointer("one"), "{");
  await expect(get()).rejects.toMatchObject({ reason: "BACKUP_DAMAGED" });
  truncateSync(pointer("one"), 6 << 20);
  await expect(get()).rejects.toThrow(/larger than/);
  const claimed = JSON.parse(good.toString()) as { manifest: { size: number } };
  claimed.manifest.size = 2 ** 40;
  writeFileSync(pointer("one"), JSON.stringify(claimed));
  await expect(get()).rejects.toThrow(/claims 1099511627776 bytes/);
});

test("a layer of another size is no layer", async () => {
  using dir = temporary();
  await using store = open(dir.path);
  const layer = await put(store, "content");
  await expect(store.openLayer({ ...layer, size: 6 }, signal)).rejects.toMatchObject({
    reason: "BACKUP_DAMAGED",
  });
  await expect(
    store.readBlob("default", layer.toc, { offset: 8, length: 100 }, signal),
  ).rejects.toMatchObject({ reason: "BACKUP_DAMAGED" });
});

test("nothing of one tenant is read for another", async () => {
  using dir = temporary();
  await using store = open(dir.path);
  const layer = await put(store, "secret", "a");
  await store.putBackup(draftOf("one", [layer], { tenant: "a" }), signal);
  await expect(store.putBackup(draftOf("two", [layer], { tenant: "b" }), signal)).rejects.toMatchObject({
    code: "permission-denied",
    reason: "BACKUP_FOREIGN",
  });
  const own = { ...layer, tenant: "b" };
  await expect(store.putBackup(draftOf("two", [own], { tenant: "b" }), signal)).rejects.toMatchObject({
    reason: "LAYER_MISSING",
  });
  await expect(store.openLayer(own, signal)).rejects.toMatchObject({ reason: "BACKUP_DAMAGED" });

  // Tenant b writes names into its own part of the store that lead to a's data.
  const [pointer, victim] = [layout.pointer("b", "one"), layout.pointer("a", "one")].map((key) =>
    join(dir.path, key),
  );
  await store.putBackup(draftOf("mine", [await put(store, "x", "b")], { tenant: "b" }), signal);
  const name = readFileSync(victim ?? "", "utf8");
  writeFileSync(pointer ?? "", name);
  await expect(store.getBackup(backupId("one"), signal, "b")).rejects.toMatchObject({
    reason: "BACKUP_FOREIGN",
  });
  writeFileSync(pointer ?? "", name.replace('"tenant":"a"', '"tenant":"b"'));
  await expect(store.getBackup(backupId("one"), signal, "b")).rejects.toThrow(/is missing/);
  // Also with a copy of a's manifest and configuration.
  const { manifest, blobs } = JSON.parse(name) as {
    manifest: { digest: string };
    blobs: { digest: string }[];
  };
  for (const digest of [manifest.digest, blobs[0]?.digest ?? ""])
    writeFileSync(
      join(dir.path, layout.blob("b", digest)),
      readFileSync(join(dir.path, layout.blob("a", digest))),
    );
  await expect(store.getBackup(backupId("one"), signal, "b")).rejects.toMatchObject({
    reason: "BACKUP_FOREIGN",
  });
});

test("a layer that is restored across tenants is copied to the other", async () => {
  using dir = temporary();
  await using store = open(dir.path);
  const layer = await put(store, "shared", "a");
  const copy = await store.copyLayer(layer, "b", signal);
  expect(copy).toEqual({ ...layer, tenant: "b" });
  await store.putBackup(draftOf("two", [copy], { tenant: "b" }), signal);
  await using file = await store.openLayer(copy, signal);
  expect(file.path).toContain(`t/b/blobs/sha256/${hexOf(layer.digest)}`);
  expect(readdirSync(join(dir.path, "tmp/node/spool"))).toEqual([]);
});

test("a chain is counted by its HEAD, whatever clocks say", async () => {
  using dir = temporary();
  await using store = open(dir.path);
  const layers = [await put(store, "a")];
  const chain = { tenant: "default", workload: "web", container: "main" };
  let parent: string | undefined;
  for (const [index, createdAt] of [5e18, 1e18, 2e18].entries()) {
    const id = `b${index}`;
    const draft = draftOf(id, layers, { createdAt, ...(parent !== undefined && { parent }) });
    expect((await store.putBackup(draft, signal)).document).toMatchObject({ seq: index + 1, epoch: 1 });
    parent = id;
  }
  expect(await store.head(chain, signal)).toMatchObject({ seq: 3, epoch: 1, tip: { backup: "b2" } });
  // Another node takes over.
  await store.putBackup(draftOf("b3", layers, { node: "n2", parent: "b2", createdAt: 1 }), signal);
  expect(await store.head(chain, signal)).toMatchObject({
    seq: 4,
    epoch: 2,
    tip: { backup: "b3", node: "n2" },
    diverged: [],
  });
  rmSync(join(dir.path, layout.head(chain)));
  rmSync(join(dir.path, layout.chain(chain), ".HEAD.json"), { recursive: true });
  expect(await store.head(chain, signal)).toMatchObject({ seq: 4, tip: { backup: "b3" } });
  expect((await store.putBackup(draftOf("b4", layers, { parent: "b3" }), signal)).document.seq).toBe(5);
});

test("two nodes that go on from the same backup both keep theirs, and the later one leads", async () => {
  using dir = temporary();
  await using one = open(dir.path, "one");
  await using two = open(dir.path, "two");
  const layers = [await put(one, "a")];
  await one.putBackup(draftOf("base", layers), signal);
  const made = { parent: "base" };
  await Promise.all([
    one.putBackup(draftOf("late", layers, { ...made, node: "n1", createdAt: 2e18 }), signal),
    two.putBackup(draftOf("early", layers, { ...made, node: "n2", createdAt: 1e18 }), signal),
  ]);
  expect(await idsOf(one)).toEqual(["base", "early", "late"]);
  const head = await two.head({ tenant: "default", workload: "web", container: "main" }, signal);
  expect(head?.tip?.backup).toBe("late");
  expect(head?.diverged.map(({ backup }) => backup)).toEqual(["early"]);
  expect(head?.seq).toBeGreaterThanOrEqual(2);
});

test("backups of one running container follow each other, though none was made from another", async () => {
  using dir = temporary();
  await using store = open(dir.path);
  const layers = [await put(store, "a")];
  const chain = { tenant: "default", workload: "web", container: "main" };
  await store.putBackup(draftOf("live", layers, { createdAt: 2e18 }), signal);
  await store.putBackup(draftOf("late", layers, { createdAt: 3e18 }), signal);
  // One that was taken before it and stored after it.
  await store.putBackup(draftOf("early", layers, { createdAt: 1e18 }), signal);
  expect(await store.head(chain, signal)).toMatchObject({
    seq: 3,
    epoch: 1,
    tip: { backup: "late" },
    diverged: [],
  });
});

test("a removed backup is gone, and HEAD goes back to the newest that stays", async () => {
  using dir = temporary();
  await using store = open(dir.path);
  const layer = await put(store, "a");
  const chain = { tenant: "default", workload: "web", container: "main" };
  await store.putBackup(draftOf("one", [layer]), signal);
  await store.putBackup(draftOf("two", [layer], { parent: "one" }), signal);
  await store.removeBackup(backupId("two"), signal);
  await store.removeBackup(backupId("two"), signal);
  expect(await idsOf(store)).toEqual(["one"]);
  expect(await store.head(chain, signal)).toMatchObject({ seq: 2, tip: { backup: "one" } });
  await store.removeBackup(backupId("one"), signal);
  const empty = await store.head(chain, signal);
  expect(empty?.tip).toBeUndefined();
  expect((await store.putBackup(draftOf("three", [layer]), signal)).document.seq).toBe(3);
});

test("a pinned backup is not removed", async () => {
  using dir = temporary();
  await using store = open(dir.path);
  await store.putBackup(draftOf("one", [await put(store, "a")]), signal);
  const id = backupId("one");
  const pin = await store.pin(id, "legal hold", signal);
  expect(await store.pin(id, "again", signal)).toEqual(pin);
  expect(await store.pins("default", signal)).toEqual([pin]);
  await expect(store.removeBackup(id, signal)).rejects.toMatchObject({ reason: "BACKUP_PINNED" });
  await store.unpin(id, signal);
  await store.removeBackup(id, signal);
  expect(await idsOf(store)).toEqual([]);
  await expect(store.pin(id, "late", signal)).rejects.toMatchObject({ reason: "BACKUP_NOT_FOUND" });
});

test("a folder that cannot be made fails each call until it can", async () => {
  using dir = temporary();
  const path = join(dir.path, "store");
  writeFileSync(path, "in the way");
  await using store = open(path);
  await expect(idsOf(store)).rejects.toMatchObject({ reason: "STORE_UNUSABLE" });
  rmSync(path);
  expect(await idsOf(store)).toEqual([]);
});

test.for([
  ["size", "shorter", (path: string) => truncateSync(path, 3)],
  ["content", "other", (path: string) => writeFileSync(path, "CONTENT")],
] as const)(
  "looking at its %s finds a blob that is %s, which can be stored again then",
  async ([verification, , damage]) => {
    using dir = temporary();
    await using store = open(dir.path);
    const layer = await put(store, "content");
    const looked: number[] = [];
    const look = () =>
      store.verifyLayer(layer, { signal, verification, onProgress: (bytes) => looked.push(bytes) });
    await look();
    expect(looked.at(-1)).toBe(layer.size + layer.index.size + layer.toc.size);
    damage(join(dir.path, layout.blob(layout.tenant("default"), layer.digest)));
    await expect(look()).rejects.toMatchObject({ reason: "LAYER_MISSING" });
    await expect(look()).rejects.toThrow("not there");
    await put(store, "content");
    await look();
  },
);
