import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { posixObjects } from "../src/objects/posix/posix-objects.ts";
import { objectStoreContract } from "./object-store-contract.ts";

const { signal } = new AbortController();
let path: string;
beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), "aeon-objects-"));
});
afterAll(() => rm(path, { recursive: true }));

const open = async (writer: string, folder = path) => posixObjects({ path: folder, writer });

objectStoreContract({ name: "posix", open });

test("a folder that cannot be made fails each call until it can", async () => {
  const blocked = join(path, "blocked");
  writeFileSync(blocked, "in the way");
  await using store = await open("one", join(blocked, "store"));
  await expect(store.stat("a", signal)).rejects.toMatchObject({ reason: "STORE_UNUSABLE" });
  await rm(blocked);
  expect(await store.stat("a", signal)).toBeUndefined();
});

test("what a writer left half written goes at its next start, its spool and others' files stay", async () => {
  const names = ["tmp/one/half", "tmp/one/spool/packed", "tmp/two/half"];
  for (const name of names) {
    mkdirSync(join(path, name, ".."), { recursive: true });
    writeFileSync(join(path, name), "");
  }
  await using store = await open("one");
  await store.ready(signal);
  expect(names.map((name) => existsSync(join(path, name)))).toEqual([false, true, true]);
});

test("a file of another file system is copied", async () => {
  const elsewhere = await mkdtemp("/dev/shm/aeon-objects-");
  try {
    const file = join(elsewhere, "file");
    writeFileSync(file, "content");
    await using store = await open("one");
    await store.upload("copied/blob", file, { size: 7, signal });
    expect(existsSync(file)).toBe(false);
    expect(readFileSync(join(path, "copied/blob"), "utf8")).toBe("content");
  } finally {
    await rm(elsewhere, { recursive: true });
  }
});

test("a replaced object is also a file of its name, and one put there by hand counts", async () => {
  await using store = await open("one");
  mkdirSync(join(path, "byhand"));
  writeFileSync(join(path, "byhand/HEAD.json"), "0");
  const found = await store.read("byhand/HEAD.json", { signal });
  expect(found?.bytes.toString()).toBe("0");
  expect(await store.replace("byhand/HEAD.json", Buffer.from("x"), undefined, signal)).toBe(false);
  expect(await store.replace("byhand/HEAD.json", Buffer.from("1"), found?.version, signal)).toBe(true);
  expect(readFileSync(join(path, "byhand/HEAD.json"), "utf8")).toBe("1");
});

test("old contents go, and a writer that slept through their deletion replaces nothing", async () => {
  await using store = await open("one");
  const key = "pruned/HEAD.json";
  const folder = join(path, "pruned/.HEAD.json");
  const versions: (string | undefined)[] = [];
  for (let round = 1; round <= 12; round += 1) {
    const version = (await store.read(key, { signal }))?.version;
    versions.push(version);
    expect(await store.replace(key, Buffer.from(String(round)), version, signal)).toBe(true);
    const hourAgo = Date.now() / 1000 - 3600;
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), hourAgo, hourAgo);
  }
  expect(readdirSync(folder).length).toBeLessThanOrEqual(6);
  expect(await store.replace(key, Buffer.from("late"), versions[3], signal)).toBe(false);
  expect((await store.read(key, { signal }))?.bytes.toString()).toBe("12");
});

test("an old spool of another writer is swept, its folder too; that writer can still write", async () => {
  await using store = await open("one");
  await using other = await open("three");
  const file = join(await other.spool(signal), "left");
  writeFileSync(file, "left");
  utimesSync(file, 1, 1);
  for (const folder of ["tmp/three/spool", "tmp/three"]) utimesSync(join(path, folder), 1, 1);
  await other.stat("swept/none", signal);
  expect(await store.sweepUnfinished(3_600_000, signal)).toBe(1);
  utimesSync(join(path, "tmp/three"), 1, 1);
  expect(await store.sweepUnfinished(3_600_000, signal)).toBe(0);
  expect(existsSync(join(path, "tmp/three"))).toBe(false);
  expect(await other.create("swept/a", Buffer.from("a"), signal)).toBe(true);
  expect(existsSync(await other.spool(signal))).toBe(true);
});
