import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { snapshotKey, type Logger, type Snapshotter, silentLogger } from "@aeon/core";
import { expect, test } from "vitest";
import { openOverlaySnapshotter } from "../../src/index.ts";
import { testFolder } from "./harness.ts";

const context = { caller: {}, signal: new AbortController().signal };
const key = (name: string) => ({ key: snapshotKey(name) });

async function all(snapshotter: Snapshotter) {
  return Array.fromAsync(await snapshotter.list({ filters: [] }, context));
}

/** `one` committed, `two` on it, `active` on `two`, `view` of `one`. */
async function populate(snapshotter: Snapshotter): Promise<void> {
  const labels = { "containerd.io/snapshot/x": "ü" };
  await snapshotter.prepare({ ...key("a"), labels: {} }, context);
  await snapshotter.commit({ ...key("a"), name: snapshotKey("one"), labels }, context);
  await snapshotter.prepare({ ...key("b"), parent: snapshotKey("one"), labels: {} }, context);
  await snapshotter.commit({ ...key("b"), name: snapshotKey("two"), labels: {} }, context);
  await snapshotter.prepare({ ...key("active"), parent: snapshotKey("two"), labels }, context);
  await snapshotter.view({ ...key("view"), parent: snapshotKey("one"), labels: {} }, context);
}

test("everything is there again after a restart, to the nanosecond", async () => {
  const root = join(await testFolder(), "root");
  let before;
  let mounts;
  {
    await using snapshotter = await openOverlaySnapshotter({ root });
    await populate(snapshotter);
    before = await all(snapshotter);
    mounts = await snapshotter.mounts(key("active"), context);
  }
  await using snapshotter = await openOverlaySnapshotter({ root });
  expect(await all(snapshotter)).toEqual(before);
  expect(await snapshotter.mounts(key("active"), context)).toEqual(mounts);
  await expect(snapshotter.remove(key("one"), context)).rejects.toMatchObject({
    code: "failed-precondition",
  });
});

test("directories without a record go, those with one stay, and foreign names are left alone", async () => {
  const root = join(await testFolder(), "root");
  const folder = join(root, "snapshots");
  {
    await using snapshotter = await openOverlaySnapshotter({ root });
    await populate(snapshotter);
  }
  const recorded = readdirSync(folder);
  expect(recorded).toHaveLength(4);
  for (const orphan of ["50", "99", "100"]) mkdirSync(join(folder, orphan, "fs/sub"), { recursive: true });
  for (const other of ["not-a-number", "007"]) mkdirSync(join(folder, other));
  await using snapshotter = await openOverlaySnapshotter({ root });
  const mounts = await snapshotter.prepare({ ...key("new"), labels: {} }, context);
  const id = mounts[0]?.source.split("/").at(-2) ?? "";
  // Above every directory's, even of one that is about to go.
  expect(Number(id)).toBeGreaterThan(100);
  await snapshotter.cleanup({}, context);
  const kept = [...recorded, id, "007", "not-a-number"];
  expect(readdirSync(folder).toSorted()).toEqual(kept.toSorted());
});

test("ids are not used again, though the last snapshot was removed before the restart", async () => {
  const root = join(await testFolder(), "root");
  {
    await using snapshotter = await openOverlaySnapshotter({ root });
    await snapshotter.prepare({ ...key("a"), labels: {} }, context);
    await snapshotter.remove(key("a"), context);
    await snapshotter.cleanup({}, context);
  }
  await using snapshotter = await openOverlaySnapshotter({ root });
  const [mount] = await snapshotter.prepare({ ...key("a"), labels: {} }, context);
  expect(mount?.source).not.toBe(join(root, "snapshots/1/fs"));
});

test("directories left by a removal that was cut short go at the next start", async () => {
  const root = join(await testFolder(), "root");
  {
    await using snapshotter = await openOverlaySnapshotter({ root });
    await snapshotter.prepare({ ...key("a"), labels: {} }, context);
    for (let index = 0; index < 2000; index++) writeFileSync(join(root, `snapshots/1/fs/${index}`), "");
    await snapshotter.remove(key("a"), context);
  }
  await using snapshotter = await openOverlaySnapshotter({ root });
  await snapshotter.cleanup({}, context);
  expect(existsSync(join(root, "snapshots/1"))).toBe(false);
});

test("a record without its directory is reported, and can be removed", async () => {
  const root = join(await testFolder(), "root");
  {
    await using snapshotter = await openOverlaySnapshotter({ root });
    await populate(snapshotter);
    const [mount] = await snapshotter.mounts(key("active"), context);
    const lower = mount?.options.find((option) => option.startsWith("lowerdir="));
    const two = lower?.slice("lowerdir=".length).split(":")[0] ?? "";
    rmSync(dirname(two), { recursive: true });
  }
  const lines: unknown[] = [];
  const log: Logger = { ...silentLogger, error: (facts) => void lines.push(facts), child: () => log };
  await using snapshotter = await openOverlaySnapshotter({ root, log });
  expect(lines).toEqual([{ count: 1, snapshots: ["two"] }]);
  const prepare = snapshotter.prepare({ ...key("new"), parent: snapshotKey("two"), labels: {} }, context);
  await expect(prepare).rejects.toMatchObject({ reason: "SNAPSHOT_FILES_MISSING", code: "internal" });
  await snapshotter.remove(key("active"), context);
  await snapshotter.remove(key("two"), context);
});

test("a second snapshotter on the same root is refused, also through another path", async () => {
  const root = join(await testFolder(), "root");
  await using snapshotter = await openOverlaySnapshotter({ root });
  await expect(openOverlaySnapshotter({ root })).rejects.toMatchObject({ reason: "DATABASE_LOCKED" });
  await expect(openOverlaySnapshotter({ root: `${root}/../root` })).rejects.toMatchObject({
    reason: "DATABASE_LOCKED",
  });
  await snapshotter.prepare({ ...key("a"), labels: {} }, context);
});

test.each(["relative/path", "/tmp/with:colon", "/tmp/with,comma", "/tmp/with space"])(
  "root %j cannot stand in mount options",
  async (root) => {
    await expect(openOverlaySnapshotter({ root })).rejects.toMatchObject({ reason: "SNAPSHOT_ROOT_INVALID" });
    expect(existsSync(root)).toBe(false);
  },
);

test("a folder with snapshots of somebody else is refused and left alone", async () => {
  const root = await testFolder();
  mkdirSync(join(root, "snapshots/1/fs"), { recursive: true });
  await expect(openOverlaySnapshotter({ root })).rejects.toMatchObject({ reason: "SNAPSHOT_ROOT_INVALID" });
  expect(existsSync(join(root, "snapshots/1/fs"))).toBe(true);
});
