import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { snapshots } from "@aeon/proto";
import { expect, test } from "vitest";
import { layer, listAll, mounted, nanoseconds, optionOf, place, start } from "./harness.ts";

const { Kind } = snapshots;

test("a layer is prepared, filled, committed, and seen by its children", async () => {
  const { client, folder } = await start();
  const prepared = await client.prepare({ key: "preparing", labels: { "containerd.io/snapshot/x": "1" } });
  expect(prepared.mounts).toHaveLength(1);
  expect((await client.mounts({ key: "preparing" })).mounts).toEqual(prepared.mounts);
  await mounted(folder, prepared.mounts, (path) => writeFileSync(join(path, "foo"), "bar"));
  const active = await client.stat({ key: "preparing" });
  expect(active.info).toMatchObject({
    name: "preparing",
    parent: "",
    kind: Kind.ACTIVE,
    labels: { "containerd.io/snapshot/x": "1" },
  });
  await client.commit({ key: "preparing", name: "one" });
  const committed = await client.stat({ key: "one" });
  expect(committed.info).toMatchObject({ name: "one", parent: "", kind: Kind.COMMITTED, labels: {} });
  await expect(client.stat({ key: "preparing" })).rejects.toMatchObject({ code: "not-found" });

  await layer({ client, folder, name: "two", parent: "one" }, (path) => {
    expect(readFileSync(join(path, "foo"), "utf8")).toBe("bar");
    writeFileSync(join(path, "bar"), "foo");
  });
  const next = await client.prepare({ key: "next", parent: "two" });
  await mounted(folder, next.mounts, (path) => {
    expect(readFileSync(join(path, "foo"), "utf8")).toBe("bar");
    expect(readFileSync(join(path, "bar"), "utf8")).toBe("foo");
  });
  expect((await client.stat({ key: "two" })).info?.parent).toBe("one");
  expect((await client.mounts({ key: "next" })).mounts).toEqual(next.mounts);
});

test("times are in nanoseconds, and fall between those around the call", async () => {
  const { client } = await start();
  const around = async (key: string, call: () => Promise<unknown>) => {
    const before = BigInt(Date.now()) * 1_000_000n;
    await call();
    const after = BigInt(Date.now() + 1) * 1_000_000n;
    const { info } = await client.stat({ key });
    return { before, after, created: nanoseconds(info?.createdAt), updated: nanoseconds(info?.updatedAt) };
  };
  const prepared = await around("a", () => client.prepare({ key: "a" }));
  expect(prepared.created).toBe(prepared.updated);
  expect(prepared.created).toBeGreaterThan(prepared.before);
  expect(prepared.created).toBeLessThan(prepared.after);
  const updated = await around("a", () => client.update({ info: { name: "a", labels: { x: "y" } } }));
  expect(updated.created).toBe(prepared.created);
  expect(updated.updated).toBeGreaterThan(prepared.updated);
  const committed = await around("b", () => client.commit({ key: "a", name: "b" }));
  expect(committed.created).toBe(committed.updated);
  expect(committed.created).toBeGreaterThan(updated.updated);
  expect(committed.created % 1000n === 0n && updated.updated % 1000n === 0n).toBe(false);
});

const mount = async (call: Promise<{ mounts: { type: string; source: string; options: string[] }[] }>) =>
  (await call).mounts[0];

test("mount options follow the kind and the number of parents", async () => {
  const { client, root } = await start({ mountOptions: ["xino=off"] });
  const files = expect.stringMatching(new RegExp(`^${root}/snapshots/\\d+/fs$`));
  const base = await mount(client.prepare({ key: "a" }));
  expect(base).toMatchObject({ type: "bind", source: files, options: ["rw", "rbind"] });
  const empty = await mount(client.view({ key: "v0" }));
  expect(empty).toMatchObject({ type: "bind", source: files, options: ["ro", "rbind"] });
  await client.commit({ key: "a", name: "one" });
  expect(await mount(client.view({ key: "v1", parent: "one" }))).toMatchObject({
    type: "bind",
    source: base?.source,
    options: ["ro", "rbind"],
  });
  const child = await mount(client.prepare({ key: "b", parent: "one" }));
  const upper = child?.options[1]?.slice("upperdir=".length) ?? "";
  expect(upper).toEqual(files);
  expect(child).toMatchObject({
    type: "overlay",
    source: "overlay",
    target: "",
    options: [
      `workdir=${upper.replace(/fs$/, "work")}`,
      `upperdir=${upper}`,
      `lowerdir=${base?.source}`,
      "xino=off",
      "index=off",
      "metacopy=off",
      "redirect_dir=off",
    ],
  });
  await client.commit({ key: "b", name: "two" });
  const view = await mount(client.view({ key: "v2", parent: "two" }));
  expect(view?.options[0]).toBe(`lowerdir=${upper}:${base?.source}`);
  expect(view?.options.some((option) => /^(upper|work)dir=/.test(option))).toBe(false);
  expect(await mount(client.mounts({ key: "v2" }))).toEqual(view);
});

const mode = async (path: string) => (await stat(path)).mode & 0o7777;

test("directories have containerd's modes whatever the umask, and a key never becomes a path", async () => {
  const before = process.umask(0o077);
  try {
    const { client, root } = await start();
    await client.prepare({ key: "../../escape" });
    await client.commit({ key: "../../escape", name: "/abs/name" });
    const { mounts } = await client.prepare({ key: "k", parent: "/abs/name" });
    expect(await mode(optionOf(mounts, "upperdir"))).toBe(0o755);
    expect(await mode(join(root, "snapshots/1/fs"))).toBe(0o755);
    expect(await mode(join(root, "snapshots"))).toBe(0o700);
    expect(existsSync(join(root, "../escape"))).toBe(false);
  } finally {
    process.umask(before);
  }
});

test("a removed key can be used at once, with new files; its directory goes", async () => {
  const { client, folder } = await start();
  const { mounts } = await client.prepare({ key: "a" });
  const old = mounts[0]?.source ?? "";
  await mounted(folder, mounts, (path) => writeFileSync(join(path, "f"), "x"));
  await client.remove({ key: "a" });
  const again = await client.prepare({ key: "a" });
  expect(again.mounts[0]?.source).not.toBe(old);
  await client.cleanup({});
  expect(existsSync(old)).toBe(false);
  expect(existsSync(again.mounts[0]?.source ?? "")).toBe(true);
});

test("Remove deletes before it returns when told to", async () => {
  const { client, root, folder } = await start({ asyncRemove: false });
  const { mounts } = await client.prepare({ key: "a" });
  await mounted(folder, mounts, (path) => writeFileSync(join(path, "f"), "x"));
  await client.remove({ key: "a" });
  expect(existsSync(join(root, "snapshots/1"))).toBe(false);
});

test("Remove accepts that a hook took the files away", async () => {
  const { client, root } = await start();
  await client.prepare({ key: "a" });
  rmSync(join(root, "snapshots/1/fs"), { recursive: true });
  await client.remove({ key: "a" });
  await client.cleanup({});
  expect(existsSync(join(root, "snapshots/1"))).toBe(false);
});

test("layers are removed from the top down only", async () => {
  const { client, folder } = await start();
  await layer({ client, folder, name: "one" });
  await layer({ client, folder, name: "two", parent: "one" });
  await layer({ client, folder, name: "three", parent: "two" });
  for (const key of ["one", "two"])
    await expect(client.remove({ key })).rejects.toMatchObject({
      code: "failed-precondition",
      message: expect.stringContaining("remove"),
    });
  for (const key of ["three", "two", "one"]) await client.remove({ key });
  expect((await listAll(client)).infos).toEqual([]);
});

test("130 parents mount", async () => {
  const { client, folder, root } = await start();
  const snapshotsFolder = join(root, "snapshots");
  for (let level = 1; level <= 130; level++) {
    const parent = level === 1 ? "" : `l${level - 1}`;
    const { mounts } = await client.prepare({ key: `k${level}`, parent });
    const upperdir = level === 1 ? (mounts[0]?.source ?? "") : optionOf(mounts, "upperdir");
    writeFileSync(join(upperdir, `f${level}`), `${level}`);
    await client.commit({ key: `k${level}`, name: `l${level}` });
  }
  const { mounts } = await client.prepare({ key: "top", parent: "l130" });
  const lowers = optionOf(mounts, "lowerdir").split(":");
  expect(lowers).toHaveLength(130);
  // Too long for one page, so the common parent becomes the working directory, as containerd does.
  const relative = lowers.map((lower) => lower.slice(snapshotsFolder.length + 1)).join(":");
  const own = `workdir=${optionOf(mounts, "workdir")},upperdir=${optionOf(mounts, "upperdir")}`;
  const target = await place(folder, "deep/mount");
  mkdirSync(target);
  const options = `${own},lowerdir=${relative}`;
  execFileSync("mount", ["-t", "overlay", "overlay", "-o", options, target], { cwd: snapshotsFolder });
  expect(readFileSync(join(target, "f1"), "utf8")).toBe("1");
  expect(readFileSync(join(target, "f130"), "utf8")).toBe("130");
});

test("an upperdir label is shown when asked for, and never stored", async () => {
  const { client, root } = await start({ upperdirLabel: true });
  const label = "containerd.io/snapshot/overlay.upperdir";
  await client.prepare({ key: "a", labels: { [label]: "forged", other: "1" } });
  const expected = { [label]: `${root}/snapshots/1/fs`, other: "1" };
  expect((await client.stat({ key: "a" })).info?.labels).toEqual(expected);
  expect((await listAll(client)).infos[0]?.labels).toEqual(expected);
  const { info } = await client.update({ info: { name: "a", labels: expected } });
  expect(info?.labels).toEqual(expected);
  expect((await listAll(client, [`labels."${label}"==forged`])).infos).toEqual([]);
});

test("closing twice is harmless, and calls afterwards say so", async () => {
  const { snapshotter, client } = await start();
  await client.prepare({ key: "a" });
  await Promise.all([snapshotter[Symbol.asyncDispose](), snapshotter[Symbol.asyncDispose]()]);
  await snapshotter[Symbol.asyncDispose]();
  await expect(client.stat({ key: "a" })).rejects.toMatchObject({ code: "unavailable" });
  await expect(client.prepare({ key: "b" })).rejects.toMatchObject({ code: "unavailable" });
});
