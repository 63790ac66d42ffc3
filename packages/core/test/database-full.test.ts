import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { linux, openDatabase } from "../src/index.ts";

const migrations = ["CREATE TABLE t (id INTEGER PRIMARY KEY, payload TEXT NOT NULL) STRICT"];

async function smallDisk(size: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "aeon-full-"));
  const call = { source: "aeon-test", target: folder, type: "tmpfs", flags: 0, data: `size=${size}` };
  await linux.mount(call);
  onTestFinished(async () => {
    await linux.unmount(folder, linux.unmountFlags.detach);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

test("a full disk refuses the write, keeps the rest, and needs no restart", async () => {
  const folder = await smallDisk("1m");
  const path = join(folder, "db");
  const ballast = join(folder, "ballast");
  writeFileSync(ballast, Buffer.alloc(600_000));
  {
    await using database = openDatabase({ path, migrations });
    const write = (payload: string) =>
      database.write((sql) => sql.prepare("INSERT INTO t (payload) VALUES (?)").run(payload));
    await write("first");
    await expect(write("x".repeat(2_000_000))).rejects.toMatchObject({
      reason: "DATABASE_FULL",
      code: "resource-exhausted",
      message: expect.stringContaining(path),
    });
    await write("small ones still fit");
    const results = await Promise.allSettled(Array.from({ length: 100 }, () => write("y".repeat(10_000))));
    const refused = results.filter(({ status }) => status === "rejected");
    expect(refused.length).toBeGreaterThan(10);
    for (const result of refused) expect(result).toMatchObject({ reason: { reason: "DATABASE_FULL" } });
    rmSync(ballast);
    await write("after");
  }
  await using again = openDatabase({ path, migrations });
  const texts = again.read((sql) =>
    sql.prepare("SELECT payload FROM t WHERE length(payload) < 100 ORDER BY id").all(),
  );
  expect(texts.map((row) => row["payload"])).toEqual(["first", "small ones still fit", "after"]);
  expect(again.read((sql) => sql.prepare("PRAGMA integrity_check").get())).toEqual({ integrity_check: "ok" });
});

test("a read-only disk is named when opening", async () => {
  const folder = await smallDisk("1m");
  await openDatabase({ path: join(folder, "db"), migrations })[Symbol.asyncDispose]();
  const { remount, readOnly } = linux.mountFlags;
  await linux.mount({
    source: "aeon-test",
    target: folder,
    type: "tmpfs",
    flags: remount | readOnly,
    data: "",
  });
  expect(() => openDatabase({ path: join(folder, "db"), migrations })).toThrow(
    expect.objectContaining({ reason: "DATABASE_UNUSABLE" }),
  );
});
