import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ObjectFacts, ObjectStore } from "../src/objects/object-store.ts";

/** What the contract needs of the store that it is run on. */
export interface ContractSubject {
  /** Starts every test's title. */
  readonly name: string;
  /** Another writer of the same store; the same writer again when the name is the same. Disposed of by the caller. */
  readonly open: (writer: string) => Promise<ObjectStore>;
  /** Milliseconds that one test may take. */
  readonly timeout?: number;
  /** Size of the large upload in bytes; default 3 MiB. */
  readonly largeSize?: number;
}

const { signal } = new AbortController();

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const sorted = (items: readonly ObjectFacts[]): readonly string[] =>
  items.map(({ key, size }) => `${key} ${size}`).toSorted();

const text = (found: { readonly bytes: Buffer } | undefined): string | undefined => found?.bytes.toString();

/** A folder of its own for each test. */
const place = (): string => `contract/${randomBytes(6).toString("hex")}`;

async function spooled(store: ObjectStore, bytes: Buffer): Promise<string> {
  const file = join(await store.spool(signal), `file-${randomBytes(6).toString("hex")}`);
  writeFileSync(file, bytes);
  return file;
}

/** Tests that every object store has to pass. */
export function objectStoreContract({
  name,
  open,
  timeout = 20_000,
  largeSize = 3 << 20,
}: ContractSubject): void {
  const contract = (title: string, body: () => Promise<void>): void =>
    test(`${name}: ${title}`, { timeout }, async () => {
      expect.hasAssertions();
      await body();
    });

  contract("an object can be created once, and is read by everybody", async () => {
    const at = place();
    await using store = await open("one");
    await using other = await open("two");
    expect(await store.read(`${at}/a.json`, { signal })).toBeUndefined();
    expect(await store.stat(`${at}/a.json`, signal)).toBeUndefined();
    expect(await store.create(`${at}/a.json`, Buffer.from("first"), signal)).toBe(true);
    expect(await other.create(`${at}/a.json`, Buffer.from("second"), signal)).toBe(false);
    expect(text(await other.read(`${at}/a.json`, { signal }))).toBe("first");
    const facts = await other.stat(`${at}/a.json`, signal);
    expect(facts).toMatchObject({ key: `${at}/a.json`, size: 5 });
    expect(facts?.version).toBe((await store.read(`${at}/a.json`, { signal }))?.version);
    expect(Math.abs((facts?.modifiedAt.getTime() ?? 0) - Date.now())).toBeLessThan(600_000);
  });

  contract("of many writers that create one object, one succeeds", async () => {
    const at = place();
    await using store = await open("one");
    await using other = await open("two");
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        (index % 2 ? store : other).create(`${at}/a`, Buffer.from(String(index)), signal),
      ),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
    expect(text(await store.read(`${at}/a`, { signal }))).toBe(String(results.indexOf(true)));
  });

  contract("ranges end with the object", async () => {
    const at = place();
    await using store = await open("one");
    await store.create(`${at}/a`, Buffer.from("0123456789"), signal);
    const range = async (offset: number, length: number) =>
      text(await store.read(`${at}/a`, { signal, range: { offset, length } }));
    expect(await range(2, 3)).toBe("234");
    expect(await range(8, 100)).toBe("89");
    expect(await range(0, 1)).toBe("0");
  });

  contract("an empty object is an object", async () => {
    const at = place();
    await using store = await open("one");
    expect(await store.create(`${at}/a`, Buffer.alloc(0), signal)).toBe(true);
    expect((await store.stat(`${at}/a`, signal))?.size).toBe(0);
    expect(text(await store.read(`${at}/a`, { signal }))).toBe("");
  });

  contract("replaces only what is as expected", async () => {
    const at = place();
    const key = `${at}/HEAD.json`;
    await using store = await open("one");
    await using other = await open("two");
    const { compareAndSwap } = await store.ready(signal);
    expect(await store.read(key, { signal })).toBeUndefined();
    expect(await store.replace(key, Buffer.from("1"), undefined, signal)).toBe(true);
    const first = await other.read(key, { signal });
    expect(text(first)).toBe("1");
    expect(await other.replace(key, Buffer.from("2"), first?.version, signal)).toBe(true);
    if (compareAndSwap) {
      expect(await store.replace(key, Buffer.from("3"), first?.version, signal)).toBe(false);
      expect(await store.replace(key, Buffer.from("3"), undefined, signal)).toBe(false);
    }
    const second = await store.read(key, { signal });
    expect(text(second)).toBe("2");
    expect(await store.stat(key, signal)).toMatchObject({ key, size: 1, version: second?.version });
    expect(sorted(await all(store.list(`${at}/`, signal)))).toEqual([`${key} 1`]);
    await store.remove(key, signal);
    expect(await other.read(key, { signal })).toBeUndefined();
    expect(await all(other.list(`${at}/`, signal))).toEqual([]);
    expect(await store.replace(key, Buffer.from("4"), undefined, signal)).toBe(true);
  });

  contract("no replacement is lost when many writers count", async () => {
    const key = `${place()}/HEAD.json`;
    await using store = await open("one");
    await using other = await open("two");
    if (!(await store.ready(signal)).compareAndSwap) return;
    const add = async (writer: ObjectStore): Promise<void> => {
      for (;;) {
        const found = await writer.read(key, { signal });
        const next = Buffer.from(String(Number(text(found) ?? 0) + 1));
        if (await writer.replace(key, next, found?.version, signal)) return;
      }
    };
    const count = async (writer: ObjectStore): Promise<void> => {
      for (let round = 0; round < 8; round += 1) await add(writer);
    };
    await Promise.all([count(store), count(other), count(store)]);
    expect(text(await store.read(key, { signal }))).toBe("24");
  });

  contract("a file becomes an object and is gone; again changes nothing", async () => {
    const key = `${place()}/blob`;
    await using store = await open("one");
    await using other = await open("two");
    const bytes = randomBytes(largeSize);
    const file = await spooled(store, bytes);
    const progress: number[] = [];
    const options = { size: bytes.length, signal, onProgress: (done: number) => void progress.push(done) };
    await store.upload(key, file, options);
    expect(existsSync(file)).toBe(false);
    expect(progress.at(-1)).toBe(bytes.length);
    await store.upload(key, file, options);
    await other.upload(key, await spooled(other, bytes), options);
    expect((await other.stat(key, signal))?.size).toBe(bytes.length);
    await using fetched = await other.fetch(key, { size: bytes.length, signal });
    expect(readFileSync(fetched.path).equals(bytes)).toBe(true);
    const range = { offset: bytes.length - 10, length: 20 };
    expect((await other.read(key, { signal, range }))?.bytes).toEqual(bytes.subarray(-10));
  });

  contract("an empty file becomes an object", async () => {
    const key = `${place()}/blob`;
    await using store = await open("one");
    await store.upload(key, await spooled(store, Buffer.alloc(0)), { size: 0, signal });
    await using fetched = await store.fetch(key, { size: 0, signal });
    expect(readFileSync(fetched.path)).toHaveLength(0);
  });

  contract("a file or an object of another size is refused", async () => {
    const at = place();
    await using store = await open("one");
    const file = await spooled(store, Buffer.from("12345"));
    await expect(store.upload(`${at}/blob`, file, { size: 6, signal })).rejects.toMatchObject({
      reason: "BACKUP_DAMAGED",
    });
    expect(await store.stat(`${at}/blob`, signal)).toBeUndefined();
    await store.upload(`${at}/blob`, await spooled(store, Buffer.from("12345")), { size: 5, signal });
    for (const wrong of [
      { key: `${at}/blob`, size: 4 },
      { key: `${at}/none`, size: 5 },
    ])
      await expect(store.fetch(wrong.key, { size: wrong.size, signal })).rejects.toMatchObject({
        reason: "BACKUP_DAMAGED",
      });
  });

  contract("what is in the spool is there after a restart, for its writer alone", async () => {
    let file: string;
    {
      await using store = await open("one");
      file = await spooled(store, Buffer.from("kept"));
    }
    await using other = await open("two");
    expect(await other.spool(signal)).not.toBe(join(file, ".."));
    await using again = await open("one");
    expect(await again.spool(signal)).toBe(join(file, ".."));
    expect(readFileSync(file, "utf8")).toBe("kept");
    await again.upload(`${place()}/blob`, file, { size: 4, signal });
  });

  contract("lists what is below a folder, and its folders", async () => {
    const at = place();
    await using store = await open("one");
    for (const key of ["a/b/1", "a/b/2.json", "a/c/d/3", "ab/4", "5"])
      await store.create(`${at}/${key}`, Buffer.from(key), signal);
    expect(sorted(await all(store.list(`${at}/a/`, signal)))).toEqual([
      `${at}/a/b/1 5`,
      `${at}/a/b/2.json 10`,
      `${at}/a/c/d/3 7`,
    ]);
    expect((await all(store.list(`${at}/`, signal))).length).toBe(5);
    expect((await all(store.folders(`${at}/`, signal))).toSorted()).toEqual(["a", "ab"]);
    expect(await all(store.folders(`${at}/a/b/`, signal))).toEqual([]);
    expect(await all(store.list(`${at}/none/`, signal))).toEqual([]);
    expect(await all(store.folders(`${at}/none/`, signal))).toEqual([]);
  });

  contract("a removed object is gone, twice too", async () => {
    const at = place();
    await using store = await open("one");
    await store.create(`${at}/a`, Buffer.from("a"), signal);
    await store.remove(`${at}/a`, signal);
    await store.remove(`${at}/a`, signal);
    expect(await store.read(`${at}/a`, { signal })).toBeUndefined();
    expect(await store.create(`${at}/a`, Buffer.from("b"), signal)).toBe(true);
  });

  contract("refuses names that are none", async () => {
    await using store = await open("one");
    for (const key of ["", "/a", "a//b", "../a", "a/..", "a/.hidden", "a\0", "a b", "x".repeat(1000)])
      await expect(store.read(key, { signal })).rejects.toThrow(RangeError);
    await expect(store.replace("a/plain.json", Buffer.from(""), undefined, signal)).rejects.toThrow(
      RangeError,
    );
  });

  contract("stops when asked to", async () => {
    await using store = await open("one");
    const aborted = AbortSignal.abort(new Error("enough"));
    await expect(store.read("contract/a", { signal: aborted })).rejects.toThrow("enough");
    await expect(store.create("contract/a", Buffer.from(""), aborted)).rejects.toThrow("enough");
    await expect(all(store.list("contract/", aborted))).rejects.toThrow("enough");
  });

  contract("sweeps unfinished writes of others once they are old", async () => {
    await using store = await open("one");
    await using other = await open("two");
    const file = await spooled(other, Buffer.from("left"));
    await store.sweepUnfinished(3_600_000, signal);
    expect(existsSync(file)).toBe(true);
    await other.upload(`${place()}/blob`, file, { size: 4, signal });
  });
}
