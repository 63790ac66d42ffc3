import { closeSync, constants, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openFlags } from "./open.ts";
import {
  getXattr,
  getXattrSync,
  listXattrs,
  listXattrsSync,
  removeXattrSync,
  setXattr,
  setXattrSync,
} from "./xattr.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-xattr-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const isRoot = process.getuid?.() === 0;
const prefix = isRoot ? "trusted" : "user";

test("an attribute comes back byte for byte, whatever the file's name", async () => {
  const path = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe, 0x0a])]);
  writeFileSync(path, "");
  const small = Buffer.from([0, 1, 2, 255]);
  const large = Buffer.alloc(3000, 7);
  setXattrSync(path, `${prefix}.small`, small);
  await setXattr(path, `${prefix}.large`, large);
  expect(listXattrsSync(path).map(String).toSorted()).toEqual([`${prefix}.large`, `${prefix}.small`]);
  expect((await listXattrs(path)).map(String).toSorted()).toEqual([`${prefix}.large`, `${prefix}.small`]);
  expect(getXattrSync(path, `${prefix}.small`)).toEqual(small);
  expect(await getXattr(path, `${prefix}.small`)).toEqual(small);
  expect(getXattrSync(path, `${prefix}.large`)).toEqual(large);
  expect(await getXattr(path, `${prefix}.large`)).toEqual(large);
});

test("an empty value is a value, an absent attribute is undefined", async () => {
  const path = join(folder, "f");
  writeFileSync(path, "");
  setXattrSync(path, `${prefix}.empty`, Buffer.alloc(0));
  expect(getXattrSync(path, `${prefix}.empty`)).toEqual(Buffer.alloc(0));
  expect(getXattrSync(path, `${prefix}.absent`)).toBeUndefined();
  expect(await getXattr(path, `${prefix}.absent`)).toBeUndefined();
  removeXattrSync(path, `${prefix}.empty`);
  expect(listXattrsSync(path)).toEqual([]);
  expect(() => removeXattrSync(path, `${prefix}.empty`)).toThrow(/ENODATA.*lremovexattr/);
});

test("create and replace modes", () => {
  const path = join(folder, "f");
  writeFileSync(path, "");
  const value = Buffer.from("v");
  expect(() => setXattrSync(path, `${prefix}.a`, value, "replace")).toThrow(/ENODATA/);
  setXattrSync(path, `${prefix}.a`, value, "create");
  expect(() => setXattrSync(path, `${prefix}.a`, value, "create")).toThrow(/EEXIST/);
});

test.runIf(isRoot)("a link at the end is not followed, by path or by O_PATH descriptor", () => {
  const target = join(folder, "target");
  const link = join(folder, "link");
  writeFileSync(target, "");
  symlinkSync(target, link);
  setXattrSync(link, "trusted.of", Buffer.from("link"));
  expect(getXattrSync(target, "trusted.of")).toBeUndefined();
  const fd = openSync(link, openFlags.path | constants.O_NOFOLLOW);
  try {
    expect(getXattrSync(fd, "trusted.of")).toEqual(Buffer.from("link"));
  } finally {
    closeSync(fd);
  }
});

test("errors carry the errno name that Node uses, sync and async", async () => {
  const path = join(folder, "absent");
  expect(() => getXattrSync(path, "user.x")).toThrow(expect.objectContaining({ code: "ENOENT" }));
  await expect(getXattr(path, "user.x")).rejects.toMatchObject({ code: "ENOENT" });
  expect(() => listXattrsSync(`${folder}\0hidden`)).toThrow(expect.objectContaining({ code: "EINVAL" }));
});

test("file systems without attributes have none", () => {
  expect(listXattrsSync("/proc/self/status")).toEqual([]);
});
