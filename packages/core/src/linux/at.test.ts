import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openAtSync, readAtSync, statAtSync, statDescriptorSync } from "./at.ts";
import { listNamesSync } from "./directory-names.ts";
import { setTimesSync } from "./times.ts";

let folder: string;
let directory: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-at-"));
  directory = openSync(folder, constants.O_DIRECTORY);
});
afterEach(() => {
  closeSync(directory);
  rmSync(folder, { recursive: true, force: true });
});

test("a status is what lstat tells, before 1970 and of links too", () => {
  writeFileSync(join(folder, "file"), "x".repeat(5000), { mode: 0o640 });
  setTimesSync(join(folder, "file"), { modified: -1_500_000_001n });
  symlinkSync("file", join(folder, "link"));
  for (const name of ["file", "link"]) {
    const { mode, nlink, uid, gid, ino, size, blocks, mtimeNs, ctimeNs } = lstatSync(join(folder, name), {
      bigint: true,
    });
    expect(statAtSync(directory, name)).toMatchObject({
      type: Number(mode) & constants.S_IFMT,
      mode: Number(mode) & 0o7777,
      links: Number(nlink),
      uid: Number(uid),
      gid: Number(gid),
      inode: ino,
      size: Number(size),
      blocks: Number(blocks),
      modified: mtimeNs,
      changed: ctimeNs,
      isProtected: false,
    });
  }
  const [own, found] = [statDescriptorSync(directory), statAtSync(directory, ".")];
  expect([own.inode, own.device]).toEqual([found.inode, found.device]);
});

test("entries are opened and read by their directory", () => {
  writeFileSync(join(folder, "file"), "0123456789");
  const fd = openAtSync(directory, "file", constants.O_RDONLY);
  const bytes = Buffer.alloc(8);
  expect([readAtSync(fd, bytes, 4), bytes.toString("latin1", 0, 6), readAtSync(fd, bytes, 10)]).toEqual([
    6,
    "456789",
    0,
  ]);
  closeSync(fd);
  expect(() => openAtSync(directory, "absent", constants.O_RDONLY)).toThrow(
    expect.objectContaining({ code: "ENOENT" }),
  );
});

test("names are listed byte by byte, any number of them, as often as asked; a deleted folder has none", () => {
  const names = [
    ...Array.from({ length: 3000 }, (_, index) => `name-${index}-${"x".repeat(index % 50)}`),
    "ä\n",
  ];
  for (const name of names) writeFileSync(join(folder, name), "");
  const expected = names.map((name) => Buffer.from(name).toString("latin1")).toSorted();
  expect(listNamesSync(directory).toSorted()).toEqual(expected);
  expect(listNamesSync(directory).toSorted()).toEqual(expected);
  mkdirSync(join(folder, "gone"));
  const gone = openSync(join(folder, "gone"), constants.O_DIRECTORY);
  rmdirSync(join(folder, "gone"));
  expect(listNamesSync(gone)).toEqual([]);
  closeSync(gone);
});
