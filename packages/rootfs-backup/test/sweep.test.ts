import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { text } from "node:stream/consumers";
import { backupId, silentLogger } from "@aeon/core";
import { expect, test } from "vitest";
import { backupStore, posixObjects, type BackupStore, type StoredLayer } from "../src/index.ts";
import type { DoomedObject } from "../src/store/doomed.ts";
import { layout } from "../src/store/layout.ts";
import { postIntent } from "../src/store/sweep-lease.ts";
import { draftOf, layerOf, putLayer, type MadeBackup } from "./make-backup.ts";
import { filesBelow, scratch, type Scratch } from "./scratch.ts";

const { signal } = new AbortController();
const day = 24 * 3_600_000;

const open = (dir: Scratch, writer = "node"): BackupStore =>
  backupStore({ objects: posixObjects({ path: dir.at("store"), writer }), log: silentLogger });

async function publish(
  store: BackupStore,
  id: string,
  contents: readonly string[],
  made: MadeBackup = {},
): Promise<readonly StoredLayer[]> {
  const layers = contents.map((content) => layerOf(content, made.tenant ?? "default", id));
  for (const [index, layer] of layers.entries()) await putLayer(store, layer, contents[index] ?? "");
  await store.putBackup(draftOf(id, layers, made), signal);
  return layers;
}

/** Makes everything in the store that old. */
function age(dir: Scratch, ms: number): void {
  const time = (Date.now() - ms) / 1000;
  for (const file of filesBelow(dir.at("store/t"))) utimesSync(file, time, time);
}

const has = (dir: Scratch, { digest }: { readonly digest: string }): boolean =>
  existsSync(dir.at("store", layout.blob("default", digest)));

test("deletes only what is old and unnamed, and shared layers stay", async () => {
  using dir = scratch();
  await using store = open(dir);
  const [shared, lost] = await publish(store, "one", ["shared", "lost"]);
  await publish(store, "two", ["shared", "own"], { parent: "one" });
  const stray = layerOf("stray", "default", "none");
  await putLayer(store, stray, "stray");
  await store.removeBackup(backupId("one"), signal);
  if (shared === undefined || lost === undefined) throw new Error("no layers");
  expect(await store.sweep({ signal })).toMatchObject({ blobs: 0, complete: true });
  age(dir, 2 * day);
  // Manifest, configuration and the three blobs of `lost`; three blobs of `stray`.
  expect(await store.sweep({ signal })).toMatchObject({ blobs: 8, complete: true });
  expect([shared, lost, stray].map((layer) => has(dir, layer))).toEqual([true, false, false]);
  const stored = await store.getBackup(backupId("two"), signal);
  for (const layer of stored?.document.layers ?? []) {
    await using _ = await store.openLayer(layer, signal);
  }
  expect(await store.sweep({ signal })).toMatchObject({ blobs: 0, complete: true });
  expect(filesBelow(dir.at("store/t/default/removed"))).toEqual([]);
  expect(filesBelow(dir.at("store/t/default/sweeps"))).toEqual([]);
});

test("a dry run lists what a sweep then deletes, and changes nothing", async () => {
  using dir = scratch();
  await using store = open(dir);
  const [, lost] = await publish(store, "one", ["shared", "lost"]);
  await publish(store, "two", ["shared"], { parent: "one" });
  await store.removeBackup(backupId("one"), signal);
  const left = dir.at("store/tmp/dead-writer/write-1");
  mkdirSync(join(left, ".."), { recursive: true });
  writeFileSync(left, "unfinished");
  age(dir, 30 * day);
  const old = (Date.now() - 30 * day) / 1000;
  utimesSync(left, old, old);
  if (lost === undefined) throw new Error("no layer");
  const before = filesBelow(dir.at("store"));
  const doomed: DoomedObject[] = [];
  const report = await store.sweep({ signal, dryRun: true, onDoomed: (object) => void doomed.push(object) });
  expect(filesBelow(dir.at("store"))).toEqual(before);
  const kinds = Object.groupBy(doomed, ({ kind }) => kind);
  expect(kinds.manifest).toMatchObject([{ backup: "one" }]);
  expect(kinds.config).toMatchObject([{ backup: "one" }]);
  const data = [lost, lost.index, lost.toc].map(({ digest }) => layout.blob("default", digest));
  expect(kinds.data?.map(({ key }) => key).toSorted()).toEqual(data.toSorted());
  expect(kinds.note).toEqual([{ kind: "note", key: layout.removal("default", "one") }]);
  expect(kinds.unfinished).toEqual([
    { kind: "unfinished", key: "tmp/dead-writer/write-1", size: "unfinished".length },
  ]);
  expect(await store.sweep({ signal })).toEqual(report);
  const after = new Set(filesBelow(dir.at("store")));
  const gone = before.filter((file) => !after.has(file)).map((file) => relative(dir.at("store"), file));
  expect(gone.toSorted()).toEqual(doomed.map(({ key }) => key).toSorted());
});

test("data of a removed backup stays for the grace, counted from its removal", async () => {
  using dir = scratch();
  await using store = open(dir);
  const [layer] = await publish(store, "one", ["a"]);
  if (layer === undefined) throw new Error("no layer");
  age(dir, 30 * day);
  await store.removeBackup(backupId("one"), signal);
  await store.sweep({ signal });
  expect(has(dir, layer)).toBe(true);
  age(dir, 30 * day);
  await store.sweep({ signal });
  expect(has(dir, layer)).toBe(false);
});

test("what is being published stays, and so does what only HEAD names", async () => {
  using dir = scratch();
  await using objects = posixObjects({ path: dir.at("store"), writer: "other" });
  await using store = open(dir);
  const [layer] = await publish(store, "one", ["a"]);
  if (layer === undefined) throw new Error("no layer");
  const coming = layerOf("coming", "default", "two");
  await putLayer(store, coming, "coming");
  age(dir, 30 * day);
  {
    await using _ = await postIntent(objects, "default", [coming.digest], signal);
    await store.sweep({ signal });
    expect(has(dir, coming)).toBe(true);
  }
  rmSync(dir.at("store/t/default/backups/one.json"));
  rmSync(dir.at("store/t/default/w/web/main/refs/00000001-one.json"));
  await store.sweep({ signal });
  expect([has(dir, coming), has(dir, layer)]).toEqual([false, true]);
});

test("a publication that was cut off is finished, and nothing goes while a name cannot be read", async () => {
  using dir = scratch();
  await using store = open(dir);
  await publish(store, "one", ["a"]);
  const ref = dir.at("store/t/default/w/web/main/refs/00000001-one.json");
  rmSync(ref);
  rmSync(dir.at("store/t/default/w/web/main/.HEAD.json"), { recursive: true });
  rmSync(dir.at("store/t/default/w/web/main/HEAD.json"));
  await store.sweep({ signal });
  expect(existsSync(ref)).toBe(true);
  const chain = { tenant: "default", workload: "web", container: "main" };
  expect((await store.head(chain, signal))?.tip?.backup).toBe("one");
  const stray = layerOf("stray", "default", "none");
  await putLayer(store, stray, "stray");
  age(dir, 30 * day);
  writeFileSync(ref, "{");
  expect(await store.sweep({ signal })).toMatchObject({ blobs: 0, complete: false });
  expect(has(dir, stray)).toBe(true);
});

const withRules = (rules: string) => ({ labels: { "backup.container.io/retention": rules } });

test("a chain follows what its newest backup says of retention, and the configuration in all else", async () => {
  using dir = scratch();
  await using store = open(dir);
  const now = 1_800_000_000_000;
  for (const [workload, first, last] of [
    ["strict", undefined, '{"keepLast":1}'],
    ["loose", '{"keepLast":1}', '{"keepLast":9}'],
    ["silent", undefined, undefined],
    ["broken", undefined, '{"keepLast":"one"}'],
  ] as const)
    for (let index = 0; index < 3; index += 1) {
      const said = index === 2 ? last : first;
      await publish(store, `${workload}${index}`, [`${workload} ${index}`], {
        workload,
        createdAt: BigInt(now - (3 - index) * day) * 1_000_000n,
        ...(index > 0 && { parent: `${workload}${index - 1}` }),
        ...(said !== undefined && withRules(said)),
      });
    }
  const gone = async (configured: object) =>
    (await Array.fromAsync(store.previewRetention(configured, now, signal))).map(
      ({ ref, cause }) => `${ref.id} ${cause}`,
    );
  expect((await gone({})).toSorted()).toEqual(["strict0 not-kept", "strict1 not-kept"]);
  expect((await gone({ keepLast: 2, maxAgeMs: 2.5 * day })).toSorted()).toEqual([
    "broken0 max-age",
    "loose0 max-age",
    "silent0 max-age",
    "strict0 max-age",
    "strict1 not-kept",
  ]);
  expect(await store.retain({}, now, signal)).toHaveLength(2);
});

test("retention goes by chain, spares pins and the tip, and leaves what others need", async () => {
  using dir = scratch();
  await using store = open(dir);
  const now = 1_800_000_000_000;
  for (let index = 0; index < 6; index += 1)
    await publish(
      store,
      `b${index}`,
      Array.from({ length: index + 1 }, (_, layer) => `layer ${layer}`),
      {
        createdAt: BigInt(now - (6 - index) * day) * 1_000_000n,
        ...(index > 0 && { parent: `b${index - 1}` }),
      },
    );
  await publish(store, "other", ["x"], { workload: "db", createdAt: 1n });
  await store.pin(backupId("b1"), "kept", signal);
  expect(await store.retain({}, now, signal)).toEqual([]);
  const preview = await Array.fromAsync(
    store.previewRetention({ keepLast: 2, maxAgeMs: 5.5 * day }, now, signal),
  );
  expect(preview.map(({ ref, cause }) => `${ref.id} ${cause}`)).toEqual([
    "b0 max-age",
    "b2 not-kept",
    "b3 not-kept",
  ]);
  expect((await store.retain({ keepLast: 2 }, now, signal)).toSorted()).toEqual(["b0", "b2", "b3"]);
  const ids: string[] = [];
  for await (const { id } of store.list({}, signal)) ids.push(id);
  expect(ids.toSorted()).toEqual(["b1", "b4", "b5", "other"]);
  age(dir, 30 * day);
  await store.sweep({ signal });
  const last = await store.getBackup(backupId("b5"), signal);
  expect(last?.document.layers).toHaveLength(6);
  for (const layer of last?.document.layers ?? []) {
    await using _ = await store.openLayer(layer, signal);
  }
});

test("only one of several nodes tidies per interval", async () => {
  using dir = scratch();
  await using one = open(dir, "one");
  await using two = open(dir, "two");
  const claims = await Promise.all([one, two, one, two].map((store) => store.claim("sweep", 60_000, signal)));
  expect(claims.filter((claim) => claim !== undefined)).toHaveLength(1);
  expect(await two.claim("sweep", 0, signal)).toBeDefined();
});

const seconds = Number(process.env["AEON_SWEEP_SECONDS"] ?? 8);

test.for([0, 1500])(
  "two nodes that publish, remove and sweep at once lose nothing that is named (grace %i ms)",
  { timeout: 120_000 + seconds * 1000 },
  async (grace) => {
    using dir = scratch();
    const run = async (node: string): Promise<{ published: number; removed: number; swept: number }> => {
      const script = join(import.meta.dirname, "sweep-child.ts");
      const args = [
        "--conditions=@aeon/source",
        script,
        dir.at("store"),
        node,
        String(seconds * 1000),
        String(grace),
      ];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      const [output, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
      expect(code, `node ${node} ended well`).toBe(0);
      return JSON.parse(output) as { published: number; removed: number; swept: number };
    };
    const counts = (await Promise.allSettled([run("a"), run("b")])).map((each) => {
      if (each.status === "rejected") throw each.reason;
      return each.value;
    });
    console.log("published, removed, swept:", JSON.stringify(counts));
    await using store = open(dir);
    let whole = 0;
    for await (const { id } of store.list({}, signal)) {
      const stored = await store.getBackup(backupId(id), signal);
      for (const layer of stored?.document.layers ?? []) {
        await using _ = await store.openLayer(layer, signal);
        for (const each of [layer.index, layer.toc])
          await store.readBlob("default", each, { offset: 0, length: each.size }, signal);
      }
      expect(stored, `${id} by its id`).toBeDefined();
      whole += 1;
    }
    const sum = (name: "published" | "removed" | "swept") =>
      counts.reduce((all, count) => all + count[name], 0);
    expect(whole).toBe(sum("published") - sum("removed"));
    expect(sum("published")).toBeGreaterThan(10);
    expect(sum("swept")).toBeGreaterThan(10);
  },
);
