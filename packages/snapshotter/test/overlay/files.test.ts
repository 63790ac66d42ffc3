import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { linux } from "@aeon/core";
import { expect, test } from "vitest";
import { layer, mounted, optionOf, start } from "./harness.ts";

/** Mounts a new child of `parent` and looks at it. */
async function look(
  { client, folder }: Pick<Awaited<ReturnType<typeof start>>, "client" | "folder">,
  parent: string,
  check: (path: string) => void,
): Promise<void> {
  const key = `look-${parent}`;
  const { mounts } = await client.prepare({ key, parent });
  await mounted(folder, mounts, check);
}

test("a changed file hides the one below; removal of the layer brings nothing back into others", async () => {
  const at = await start();
  await layer({ ...at, name: "one" }, (path) => {
    mkdirSync(join(path, "foo"));
    writeFileSync(join(path, "foo/a"), "old");
    writeFileSync(join(path, "foo/b"), "keep");
  });
  await layer({ ...at, name: "two", parent: "one" }, (path) => writeFileSync(join(path, "foo/a"), "new"));
  await look(at, "two", (path) => {
    expect(readFileSync(join(path, "foo/a"), "utf8")).toBe("new");
    expect(readFileSync(join(path, "foo/b"), "utf8")).toBe("keep");
  });
  await look(at, "one", (path) => expect(readFileSync(join(path, "foo/a"), "utf8")).toBe("old"));
});

test("deleted files and directories stay deleted above, as whiteouts in the layer", async () => {
  const at = await start();
  await layer({ ...at, name: "one" }, (path) => {
    mkdirSync(join(path, "dir/sub"), { recursive: true });
    for (const name of ["gone", "dir/x", "dir/sub/y"]) writeFileSync(join(path, name), name);
  });
  const { mounts } = await at.client.prepare({ key: "k", parent: "one" });
  await mounted(at.folder, mounts, (path) => {
    rmSync(join(path, "gone"));
    rmSync(join(path, "dir"), { recursive: true });
  });
  const whiteout = lstatSync(join(optionOf(mounts, "upperdir"), "gone"));
  expect(whiteout.isCharacterDevice()).toBe(true);
  expect(whiteout.rdev).toBe(0);
  await at.client.commit({ key: "k", name: "two" });
  await look(at, "two", (path) => expect(readdirSync(path)).toEqual([]));
});

test("a directory made anew in the place of a deleted one is opaque", async () => {
  const at = await start();
  await layer({ ...at, name: "one" }, (path) => {
    mkdirSync(join(path, "d"));
    writeFileSync(join(path, "d/old"), "1");
  });
  await layer({ ...at, name: "two", parent: "one" }, (path) => {
    rmSync(join(path, "d"), { recursive: true });
    mkdirSync(join(path, "d"));
    writeFileSync(join(path, "d/new"), "2");
  });
  await look(at, "two", (path) => expect(readdirSync(join(path, "d"))).toEqual(["new"]));
});

test("a directory replaced by a file, and a file by a directory", async () => {
  const at = await start();
  await layer({ ...at, name: "one" }, (path) => {
    mkdirSync(join(path, "was-dir"));
    writeFileSync(join(path, "was-dir/f"), "1");
    writeFileSync(join(path, "was-file"), "1");
  });
  await layer({ ...at, name: "two", parent: "one" }, (path) => {
    rmSync(join(path, "was-dir"), { recursive: true });
    writeFileSync(join(path, "was-dir"), "file");
    rmSync(join(path, "was-file"));
    mkdirSync(join(path, "was-file"));
  });
  await look(at, "two", (path) => {
    expect(readFileSync(join(path, "was-dir"), "utf8")).toBe("file");
    expect(readdirSync(join(path, "was-file"))).toEqual([]);
  });
});

test("files of lower layers are renamed with all their content in the upper layer", async () => {
  const at = await start();
  await layer({ ...at, name: "one" }, (path) => {
    mkdirSync(join(path, "somefolder"));
    writeFileSync(join(path, "somefolder/a"), "content");
    writeFileSync(join(path, "b"), "b");
  });
  const { mounts } = await at.client.prepare({ key: "k", parent: "one" });
  await mounted(at.folder, mounts, (path) => {
    renameSync(join(path, "somefolder/a"), join(path, "moved"));
    renameSync(join(path, "b"), join(path, "somefolder/b"));
    // Without redirect_dir the kernel refuses to rename a merged directory, and mv copies it.
    execFileSync("mv", [join(path, "somefolder"), join(path, "folder")]);
  });
  const upper = optionOf(mounts, "upperdir");
  expect(readFileSync(join(upper, "moved"), "utf8")).toBe("content");
  expect(readFileSync(join(upper, "folder/b"), "utf8")).toBe("b");
  await at.client.commit({ key: "k", name: "two" });
  await look(at, "two", (path) => {
    expect(readdirSync(path).toSorted()).toEqual(["folder", "moved"]);
    expect(readdirSync(join(path, "folder"))).toEqual(["b"]);
  });
});

test("a change of metadata alone copies the data up: nothing depends on lower layers", async () => {
  const at = await start();
  await layer({ ...at, name: "one" }, (path) => {
    writeFileSync(join(path, "f"), "data".repeat(5000));
  });
  const { mounts } = await at.client.prepare({ key: "k", parent: "one" });
  await mounted(at.folder, mounts, (path) => {
    chmodSync(join(path, "f"), 0o600);
    lchownSync(join(path, "f"), 7, 8);
  });
  const copied = join(optionOf(mounts, "upperdir"), "f");
  expect(readFileSync(copied, "utf8")).toBe("data".repeat(5000));
  expect(statSync(copied)).toMatchObject({ uid: 7, gid: 8, mode: 0o100600 });
});

test("owners, modes, links and attributes of files and of the root pass to children", async () => {
  const at = await start();
  const name = Buffer.from("user.x");
  await layer({ ...at, name: "one" }, (path) => {
    mkdirSync(join(path, "opt"));
    writeFileSync(join(path, "opt/a"), "1");
    linkSync(join(path, "opt/a"), join(path, "opt/b"));
    symlinkSync("/missing", join(path, "link"));
    linux.setXattrSync(join(path, "opt/a"), name, Buffer.from("v"));
    lchownSync(join(path, "link"), 3, 4);
    lchownSync(path, 100, 200);
  });
  const { mounts } = await at.client.prepare({ key: "k", parent: "one" });
  expect(statSync(optionOf(mounts, "upperdir"))).toMatchObject({ uid: 100, gid: 200 });
  await mounted(at.folder, mounts, (path) => {
    expect(statSync(path)).toMatchObject({ uid: 100, gid: 200 });
    expect(lstatSync(join(path, "link"))).toMatchObject({ uid: 3, gid: 4 });
    expect(linux.getXattrSync(join(path, "opt/a"), name)?.toString()).toBe("v");
    expect(statSync(join(path, "opt/a")).nlink).toBe(2);
    expect(statSync(join(path, "opt/a")).ino).toBe(statSync(join(path, "opt/b")).ino);
  });
  await at.client.commit({ key: "k", name: "two" });
  const child = await at.client.prepare({ key: "k2", parent: "two" });
  expect(statSync(optionOf(child.mounts, "upperdir"))).toMatchObject({ uid: 100, gid: 200 });
});

test("id-map labels own the new files by the mapped root and travel in the options", async () => {
  const { client } = await start();
  const uidmapping = "containerd.io/snapshot/uidmapping";
  const gidmapping = "containerd.io/snapshot/gidmapping";
  await client.prepare({ key: "base" });
  await client.commit({ key: "base", name: "one" });
  const { mounts } = await client.prepare({
    key: "k",
    parent: "one",
    labels: { [uidmapping]: "0:1000:65536", [gidmapping]: "0:2000:65536" },
  });
  expect(mounts[0]?.options.slice(0, 2)).toEqual(["uidmap=0:1000:65536", "gidmap=0:2000:65536"]);
  expect(statSync(optionOf(mounts, "upperdir"))).toMatchObject({ uid: 1000, gid: 2000 });
  for (const labels of [
    { [uidmapping]: "garbage", [gidmapping]: "0:1:1" },
    { [uidmapping]: "0:1000:1" },
    { [uidmapping]: "1:1000:1", [gidmapping]: "0:1:1" },
  ])
    await expect(client.prepare({ key: "bad", parent: "one", labels })).rejects.toMatchObject({
      code: "invalid-argument",
    });
  await expect(client.stat({ key: "bad" })).rejects.toMatchObject({ code: "not-found" });
});

test("a view cannot be written to, with and without parents", async () => {
  const at = await start();
  await layer({ ...at, name: "one" }, (path) => writeFileSync(join(path, "foo"), "1"));
  await layer({ ...at, name: "two", parent: "one" }, (path) => writeFileSync(join(path, "bar"), "1"));
  for (const parent of ["", "one", "two"]) {
    const { mounts } = await at.client.view({ key: `view-${parent}`, parent });
    await mounted(at.folder, mounts, (path) => {
      expect(existsSync(join(path, "foo"))).toBe(parent !== "");
      expect(() => writeFileSync(join(path, "new"), "x")).toThrow(/EROFS/);
    });
  }
});

test("removing a layer between does not disturb a mounted child of another", async () => {
  const at = await start();
  await layer({ ...at, name: "base" }, (path) => writeFileSync(join(path, "b"), "base"));
  const first = await at.client.prepare({ key: "first", parent: "base" });
  await at.client.prepare({ key: "second", parent: "base" });
  await mounted(at.folder, first.mounts, async (path) => {
    await at.client.remove({ key: "second" });
    await at.client.cleanup({});
    expect(readFileSync(join(path, "b"), "utf8")).toBe("base");
    writeFileSync(join(path, "n"), "x");
  });
});
