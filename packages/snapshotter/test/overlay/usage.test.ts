import { execFileSync } from "node:child_process";
import { existsSync, linkSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { linux, snapshotKey } from "@aeon/core";
import { expect, test } from "vitest";
import { openOverlaySnapshotter } from "../../src/index.ts";
import { memoryRoot, mounted, optionOf, start, testFolder } from "./harness.ts";

const key = (name: string) => ({ key: snapshotKey(name) });

/** What du(1) says of a tree: bytes in blocks and inodes. */
function du(path: string): { size: bigint; inodes: bigint } {
  const number = (flags: string[]) =>
    BigInt(execFileSync("du", ["-s", ...flags, path], { encoding: "utf8" }).split("\t")[0] ?? "");
  return { size: number(["--block-size=1"]), inodes: number(["--inodes"]) };
}

function fill(path: string): void {
  mkdirSync(join(path, "d/e"), { recursive: true });
  writeFileSync(join(path, "d/one"), "x".repeat(100_000));
  linkSync(join(path, "d/one"), join(path, "d/e/two"));
  writeFileSync(join(path, "sparse"), "");
  truncateSync(join(path, "sparse"), 1 << 28);
  symlinkSync("/", join(path, "root"));
}

test("usage is that of du, for own files only", async () => {
  const { client, folder, root } = await start();
  const { mounts } = await client.prepare({ key: "a" });
  await mounted(folder, mounts, fill);
  expect(await client.usage({ key: "a" })).toMatchObject(du(join(root, "snapshots/1/fs")));
  await client.commit({ key: "a", name: "one" });
  expect(await client.usage({ key: "one" })).toMatchObject(du(join(root, "snapshots/1/fs")));

  const child = await client.prepare({ key: "b", parent: "one" });
  const empty = await client.usage({ key: "b" });
  expect(empty).toMatchObject({ inodes: 1n });
  await mounted(folder, child.mounts, (path) => writeFileSync(join(path, "more"), "y".repeat(50_000)));
  expect(await client.usage({ key: "b" })).toMatchObject(du(optionOf(child.mounts, "upperdir")));

  await client.view({ key: "v", parent: "one" });
  expect(await client.usage({ key: "v" })).toMatchObject({ size: 0n, inodes: 0n });
});

test("the usage of a committed snapshot is measured once, and kept across restarts", async () => {
  const root = join(await testFolder(), "root");
  const files = join(root, "snapshots/1/fs");
  const context = { caller: {}, signal: new AbortController().signal };
  let expected;
  {
    await using snapshotter = await openOverlaySnapshotter({ root });
    await snapshotter.prepare({ ...key("a"), labels: {} }, context);
    fill(files);
    await snapshotter.commit({ ...key("a"), name: snapshotKey("one"), labels: {} }, context);
    expected = du(files);
  }
  {
    await using snapshotter = await openOverlaySnapshotter({ root });
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => snapshotter.usage(key("one"), context)),
    );
    for (const answer of answers) expect(answer).toEqual(expected);
    rmSync(join(files, "d"), { recursive: true });
    expect(await snapshotter.usage(key("one"), context)).toEqual(expected);
  }
  await using snapshotter = await openOverlaySnapshotter({ root });
  expect(await snapshotter.usage(key("one"), context)).toEqual(expected);
});

test("measuring and removing 80 000 files leaves the event loop alone", async () => {
  const root = await memoryRoot();
  const { client } = await start({ root });
  await client.prepare({ key: "a" });
  const files = join(root, "snapshots/1/fs");
  const script = 'for d in $(seq 1 80); do mkdir "$1/$d"; (cd "$1/$d" && seq 1 1000 | xargs touch); done';
  execFileSync("sh", ["-c", script, "sh", files]);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  for (let round = 0; round < 2; round++) {
    const measured = client.usage({ key: "a" });
    for (let turn = 0; turn < 20; turn++) await client.stat({ key: "a" });
    expect(await measured).toMatchObject({ inodes: 80_081n });
  }
  await client.remove({ key: "a" });
  await client.cleanup({});
  delay.disable();
  expect(existsSync(files)).toBe(false);
  // Far below the seconds that the walks take; the machine's other load is in it too.
  expect(delay.percentile(99) / 1e6).toBeLessThan(50);
});

test("a huge tree holds up no small one", async () => {
  const root = await memoryRoot();
  const { client } = await start({ root });
  for (const [name, count] of [
    ["big", 3000],
    ["small", 600],
  ] as const) {
    const { mounts } = await client.prepare({ key: name });
    for (let index = 0; index < count; index++) writeFileSync(join(mounts[0]?.source ?? "", `${index}`), "");
  }
  const order: string[] = [];
  await Promise.all(
    ["big", "small"].map(async (name) => {
      await client.usage({ key: name });
      order.push(name);
    }),
  );
  expect(order).toEqual(["small", "big"]);
});

test("nothing that is mounted inside a removed snapshot is deleted", async () => {
  const { client, root, folder } = await start();
  await client.prepare({ key: "a" });
  const precious = join(folder, "precious");
  mkdirSync(precious);
  writeFileSync(join(precious, "file"), "x");
  const point = join(root, "snapshots/1/fs/mnt");
  mkdirSync(point);
  const { bind } = linux.mountFlags;
  await linux.mount({ source: precious, target: point, type: "", flags: bind, data: "" });
  expect(await client.usage({ key: "a" })).toMatchObject({ inodes: 2n });
  await client.remove({ key: "a" });
  await client.cleanup({});
  expect(existsSync(join(precious, "file"))).toBe(true);
  await linux.unmount(point);
  await client.cleanup({});
  expect(existsSync(point)).toBe(false);
  expect(existsSync(join(precious, "file"))).toBe(true);
});

test("a measurement that nobody waits for any more is given up", async () => {
  const { client } = await start();
  await client.prepare({ key: "a" });
  const abort = new AbortController();
  const call = client.usage({ key: "a" }, { signal: abort.signal });
  abort.abort(new Error("enough"));
  await expect(call).rejects.toMatchObject({ code: "canceled" });
  expect(await client.usage({ key: "a" })).toMatchObject({ inodes: 1n });
});
