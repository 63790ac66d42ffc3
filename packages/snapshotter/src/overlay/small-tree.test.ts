import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { measureSmallTree, removeSmallTree, smallTreeEntries } from "./small-tree.ts";

const folder = () => mkdtempDisposable(join(tmpdir(), "aeon-small-"));

function fill(root: string, entries: number): void {
  mkdirSync(join(root, "d"), { recursive: true });
  for (let index = 1; index < entries; index++) writeFileSync(join(root, "d", `${index}`), "");
}

test("trees up to the limit are handled, larger ones are left to others", async () => {
  await using dir = await folder();
  for (const [name, entries] of [
    ["small", smallTreeEntries],
    ["large", smallTreeEntries + 1],
  ] as const)
    fill(join(dir.path, name), entries);
  expect(await measureSmallTree(join(dir.path, "small"))).toMatchObject({ inodes: smallTreeEntries + 1 });
  expect(await measureSmallTree(join(dir.path, "large"))).toBeUndefined();
  expect(await removeSmallTree(join(dir.path, "small"))).toBe(true);
  expect(existsSync(join(dir.path, "small"))).toBe(false);
  expect(await removeSmallTree(join(dir.path, "large"))).toBe(false);
  expect(existsSync(join(dir.path, "large/d"))).toBe(true);
});

test("deep trees are left to others", async () => {
  await using dir = await folder();
  mkdirSync(join(dir.path, "d/".repeat(40)), { recursive: true });
  expect(await measureSmallTree(dir.path)).toBeUndefined();
  mkdirSync(join(dir.path, "f/".repeat(20)), { recursive: true });
  expect(await removeSmallTree(join(dir.path, "f"))).toBe(true);
});

test("names in any bytes, and trees that are gone", async () => {
  await using dir = await folder();
  const root = join(dir.path, "t");
  mkdirSync(root);
  mkdirSync(Buffer.from(`${root}/\xff`, "latin1"));
  writeFileSync(Buffer.from(`${root}/\xff/\x80\xfe`, "latin1"), "x".repeat(5000));
  expect(await measureSmallTree(root)).toMatchObject({ inodes: 3 });
  expect(await removeSmallTree(root)).toBe(true);
  expect(existsSync(root)).toBe(false);
  expect(await measureSmallTree(root)).toEqual({ size: 0, inodes: 0 });
  expect(await removeSmallTree(root)).toBe(true);
});
