import {
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { finish } from "./finish.ts";
import { measureTree } from "./measure-tree.ts";
import { removeTree } from "./remove-tree.ts";

const folder = () => mkdtempDisposable(join(tmpdir(), "aeon-tree-"));
const blocks = (path: string): number => lstatSync(path).blocks * 512;

/** Nests directories with long names, each made from a descriptor of the one above. */
function makeDeep(root: string, levels: number): void {
  let fd = openSync(root, "r");
  for (let level = 0; level < levels; level++) {
    const child = `/proc/self/fd/${fd}/${"d".repeat(200)}`;
    mkdirSync(child);
    const next = openSync(child, "r");
    closeSync(fd);
    fd = next;
  }
  closeSync(fd);
}

describe("measuring a tree", () => {
  test("counts blocks, each inode once, the root too, and follows no link", async () => {
    await using dir = await folder();
    const root = join(dir.path, "fs");
    mkdirSync(join(root, "a/b"), { recursive: true });
    writeFileSync(join(root, "a/one"), "x".repeat(10_000));
    linkSync(join(root, "a/one"), join(root, "a/b/same"));
    writeFileSync(join(root, "sparse"), "");
    truncateSync(join(root, "sparse"), 1 << 30);
    symlinkSync("/", join(root, "out"));
    writeFileSync(Buffer.from(`${root}/bad-\xff\xfe`, "latin1"), "y");
    const files = ["", "a", "a/b", "a/one", "sparse", "out"].map((name) => blocks(join(root, name)));
    const bad = lstatSync(Buffer.from(`${root}/bad-\xff\xfe`, "latin1")).blocks * 512;
    expect(finish(measureTree(root))).toEqual({
      size: files.reduce((sum, size) => sum + size, bad),
      inodes: 7,
    });
  });

  test("is nothing when the tree is gone", () => {
    expect(finish(measureTree("/nowhere/fs"))).toEqual({ size: 0, inodes: 0 });
  });

  test("goes on when entries vanish meanwhile", async () => {
    await using dir = await folder();
    for (let index = 0; index < 600; index++) {
      mkdirSync(join(dir.path, `d${index}`));
      writeFileSync(join(dir.path, `d${index}/f`), "x");
    }
    const job = measureTree(dir.path);
    job.next();
    for (let index = 0; index < 600; index += 2) finish(removeTree(join(dir.path, `d${index}`)));
    expect(finish(job).inodes).toBeGreaterThan(300);
  });

  test("lets others run between slices", async () => {
    await using dir = await folder();
    for (let index = 0; index < 1000; index++) writeFileSync(join(dir.path, `f${index}`), "");
    expect([...measureTree(dir.path)].length).toBeGreaterThan(3);
  });
});

describe("removing a tree", () => {
  test("deletes names in any bytes, links but not their targets, and directories nobody may read", async () => {
    await using dir = await folder();
    const root = join(dir.path, "1");
    const outside = join(dir.path, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "kept"), "x");
    mkdirSync(join(root, "fs/deep"), { recursive: true });
    mkdirSync(join(root, "work/work"), { recursive: true, mode: 0 });
    symlinkSync(outside, join(root, "fs/link"));
    mkdirSync(Buffer.from(`${root}/fs/\xff\xfe`, "latin1"));
    writeFileSync(Buffer.from(`${root}/fs/\xff\xfe/\x80`, "latin1"), "x");
    finish(removeTree(root));
    expect(existsSync(root)).toBe(false);
    expect(existsSync(join(outside, "kept"))).toBe(true);
  });

  test("of a missing tree does nothing", () => {
    expect(finish(removeTree("/nowhere/1"))).toBeUndefined();
  });

  test("reaches deeper than a path can name", async () => {
    await using dir = await folder();
    const root = join(dir.path, "deep");
    mkdirSync(root);
    makeDeep(root, 60);
    expect(finish(measureTree(root)).inodes).toBe(61);
    finish(removeTree(root));
    expect(existsSync(root)).toBe(false);
  });
});
