import { copyFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openDatabase } from "./open-database.ts";
import { WalDatabase } from "./wal-database.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-database-"));
  path = join(folder, "db");
});
afterEach(() => rmSync(folder, { recursive: true }));

const migrations = ["CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT"];
const open = (scripts: readonly string[] = migrations) => openDatabase({ path, migrations: scripts });
const insert = (name: string) => (sql: DatabaseSync) =>
  Number(sql.prepare("INSERT INTO t (name) VALUES (?)").run(name).lastInsertRowid);
const names = (sql: DatabaseSync) =>
  sql
    .prepare("SELECT name FROM t ORDER BY id")
    .all()
    .map((row) => row["name"]);

test("what was written is there after closing and opening", async () => {
  {
    await using database = open();
    expect(await database.write(insert("a"))).toBe(1);
    expect(database.read(names)).toEqual(["a"]);
  }
  await using again = open();
  expect(again.read(names)).toEqual(["a"]);
});

test("a throw rolls back, the next write works", async () => {
  await using database = open();
  await expect(
    database.write((sql) => {
      insert("lost")(sql);
      throw new Error("changed my mind");
    }),
  ).rejects.toThrow("changed my mind");
  await database.write(insert("kept"));
  expect(database.read(names)).toEqual(["kept"]);
});

test("SQL errors of the work pass unchanged", async () => {
  await using database = open();
  await expect(database.write((sql) => sql.exec("INSERT INTO t (name) VALUES (NULL)"))).rejects.toMatchObject(
    {
      code: "ERR_SQLITE_ERROR",
    },
  );
});

test("a transaction cannot wait", async () => {
  await using database = open();
  await expect(
    database.write(async (sql) => {
      insert("too late")(sql);
      await Promise.resolve();
    }),
  ).rejects.toThrow(/must not wait/);
  expect(database.read(names)).toEqual([]);
});

test("a second holder is refused, also within one process", async () => {
  await using first = open();
  expect(() => open()).toThrow(expect.objectContaining({ reason: "DATABASE_LOCKED" }));
  expect(first.failure).toBeUndefined();
});

test("migrations run once, in order; a newer schema is refused", async () => {
  const second = "ALTER TABLE t ADD COLUMN extra TEXT NOT NULL DEFAULT 'x'";
  await (async () => {
    await using database = open();
    await database.write(insert("old"));
  })();
  await (async () => {
    await using database = open([...migrations, second]);
    expect(database.read((sql) => sql.prepare("SELECT extra FROM t").get())).toEqual({ extra: "x" });
  })();
  expect(() => open()).toThrow(expect.objectContaining({ reason: "DATABASE_NEWER" }));
});

test("a migration that fails changes nothing and says which database", async () => {
  expect(() => open([...migrations, "CREATE TABLE u (id); INSERT INTO absent VALUES (1)"])).toThrow(
    expect.objectContaining({ reason: "DATABASE_UNUSABLE", message: expect.stringContaining(path) }),
  );
  await using database = open();
  expect(database.read((sql) => sql.prepare("SELECT name FROM sqlite_schema").all())).toEqual([
    { name: "t" },
  ]);
});

test("a file that is no database, a folder that is absent", () => {
  writeFileSync(path, "not a database, but long enough to be taken for one".repeat(40));
  expect(() => open()).toThrow(expect.objectContaining({ reason: "DATABASE_UNUSABLE" }));
  expect(() => openDatabase({ path: join(folder, "absent", "db"), migrations })).toThrow(
    expect.objectContaining({ reason: "DATABASE_UNUSABLE" }),
  );
});

test("after closing every call is refused, and closing twice is fine", async () => {
  const database = open();
  const written = database.write(insert("a"));
  await database[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  expect(await written).toBe(1);
  await expect(database.write(insert("b"))).rejects.toMatchObject({ reason: "DATABASE_CLOSED" });
  expect(() => database.read(names)).toThrow(expect.objectContaining({ reason: "DATABASE_CLOSED" }));
});

const compile = (sql: DatabaseSync) => sql.prepare("SELECT 1");

test("a statement is compiled once", async () => {
  await using database = open();
  expect(database.read(compile)).toBe(database.read(compile));
  for (let value = 0; value < 300; value += 1) database.read((sql) => sql.prepare(`SELECT ${value} AS x`));
  expect(database.read((sql) => sql.prepare("SELECT 1").get())).toEqual({ "1": 1 });
});

/** A database whose disk the test controls. */
function controlled() {
  const flushes: PromiseWithResolvers<void>[] = [];
  const sql = new DatabaseSync(path);
  sql.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  sql.exec(migrations.join(";"));
  const database = new WalDatabase(sql, path, () => {
    const flush = Promise.withResolvers<void>();
    flushes.push(flush);
    return flush.promise;
  });
  return { database, flushes };
}
const settled = async (promise: Promise<unknown>) =>
  Promise.race([promise.then(() => true), new Promise((resolve) => setImmediate(resolve, false))]);

test("a write is acknowledged by a flush that began after it; waiting writes share one", async () => {
  const { database, flushes } = controlled();
  const [first, second] = [database.write(insert("1")), database.write(insert("2"))];
  expect(await settled(first)).toBe(false);
  expect(flushes).toHaveLength(1);
  const third = database.write(insert("3"));
  const fourth = database.write(insert("4"));
  flushes[0]?.resolve();
  await Promise.all([first, second]);
  expect(await settled(third)).toBe(false);
  expect(flushes).toHaveLength(2);
  flushes[1]?.resolve();
  await Promise.all([third, fourth]);
  expect(flushes).toHaveLength(2);
  await database[Symbol.asyncDispose]();
});

test("a write that nobody waits for is there at once, and on disk with the next one's flush", async () => {
  const { database, flushes } = controlled();
  const { result, durable } = database.writeBehind(insert("1"));
  expect(result).toBe(1);
  expect(database.read(names)).toEqual(["1"]);
  expect(await settled(durable)).toBe(false);
  expect(flushes).toHaveLength(0);
  const second = database.write(insert("2"));
  expect(await settled(second)).toBe(false);
  expect(flushes).toHaveLength(1);
  flushes[0]?.resolve();
  await Promise.all([durable, second]);
  expect(flushes).toHaveLength(1);
  await database[Symbol.asyncDispose]();
});

test("a write that nobody waits for is flushed when no other follows, and when the database closes", async () => {
  const { database, flushes } = controlled();
  const first = database.writeBehind(insert("1"));
  await vi.waitFor(() => expect(flushes).toHaveLength(1));
  expect(await settled(first.durable)).toBe(false);
  flushes[0]?.resolve();
  await first.durable;
  const last = database.writeBehind(insert("2"));
  const closed = database[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(flushes).toHaveLength(2));
  expect(await settled(closed)).toBe(false);
  flushes[1]?.resolve();
  await Promise.all([closed, last.durable]);
});

test("a write that nobody waited for fails the next one when it did not get to disk", async () => {
  const { database, flushes } = controlled();
  const { durable } = database.writeBehind(insert("1"));
  const flushed = database.flushed();
  await settled(flushed);
  flushes[0]?.reject(Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" }));
  for (const promise of [durable, flushed])
    await expect(promise).rejects.toMatchObject({ reason: "DATABASE_FLUSH_FAILED" });
  expect(() => database.writeBehind(insert("2"))).toThrow(/could not be flushed/);
  await database[Symbol.asyncDispose]();
});

test("after a failed flush nothing is acknowledged any more, not even by a later flush", async () => {
  const { database, flushes } = controlled();
  const first = database.write(insert("1"));
  expect(await settled(first)).toBe(false);
  const second = database.write(insert("2"));
  const both = Promise.allSettled([first, second]);
  flushes[0]?.reject(Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" }));
  for (const result of await both)
    expect(result).toMatchObject({ status: "rejected", reason: { reason: "DATABASE_FLUSH_FAILED" } });
  expect(flushes).toHaveLength(1);
  await expect(database.write(insert("3"))).rejects.toMatchObject({ code: "data-loss" });
  expect(database.failure).toMatchObject({ reason: "DATABASE_FLUSH_FAILED" });
  await database[Symbol.asyncDispose]();
});

test("the log is moved into the database now and then", async () => {
  await using database = open();
  for (let round = 0; round < 60; round += 1)
    await Promise.all(Array.from({ length: 50 }, () => database.write(insert("x".repeat(500)))));
  expect(statSync(`${path}-wal`).size).toBeLessThan(4_000_000);
  expect(statSync(path).size).toBeGreaterThan(500_000);
});

test("the log is as long from the start as it will be, and what is in it survives a crash", async () => {
  await using database = open();
  const { size } = statSync(`${path}-wal`);
  for (let count = 0; count < 100; count += 1) await database.write(insert("x".repeat(1000)));
  expect(statSync(`${path}-wal`).size).toBe(size);
  const copy = join(folder, "copy");
  for (const end of ["", "-wal"]) copyFileSync(`${path}${end}`, `${copy}${end}`);
  await using again = openDatabase({ path: copy, migrations });
  expect(again.read(names)).toHaveLength(100);
  expect(await again.write(insert("more"))).toBe(101);
});
