import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { containerId, linux, type Mount } from "@aeon/core";
import { debianFile, describeTree, difference } from "@aeon/testkit";
import { expect, test } from "vitest";
import { cycle, makeImage, mess, runContainer, type Ran } from "./containers.ts";
import { call, keyOf, mountAt, space, startNode } from "./node.ts";
import { scratch, type Scratch } from "./scratch.ts";

const program = await debianFile("erofs-utils", "usr/bin/mkfs.erofs");

/** Where images are mounted now. */
const images = (dir: Scratch): readonly string[] =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(" - erofs "))
    .map((line) => line.split(" ")[4] ?? "")
    .filter((target) => target.startsWith(dir.path));

/** For when a test fails: images stay mounted for as long as layers are kept. */
const unmounting = (dir: Scratch): AsyncDisposable => ({
  async [Symbol.asyncDispose]() {
    for (const target of images(dir)) await linux.unmount(target);
  },
});

const config = { "restore-form": "erofs", "mkfs-erofs": program } as const;

test("layers as images show what folders would, cycle after cycle", { timeout: 120_000 }, async () => {
  using dir = scratch();
  await using _ = unmounting(dir);
  await using node = await startNode({ root: dir.at("node"), config: { ...config, "squash-depth": 3 } });
  const parent = await makeImage(node, dir);
  const chains: number[] = [];
  let last: Ran | undefined;
  let from: Awaited<ReturnType<typeof cycle>>["backup"] | undefined;
  for (let step = 0; step < 5; step += 1) {
    const { ran, backup } = await cycle(node, dir, { id: `c-${step}`, from, parent, script: mess(step) });
    expect(
      difference(last?.after ?? ran.before, ran.before).filter((line) => !line.includes("sparse")),
    ).toEqual([]);
    chains.push((await node.chain(backup)).length);
    [last, from] = [ran, backup];
  }
  expect(chains).toEqual([1, 2, 3, 1, 2]);
  expect(images(dir)).not.toEqual([]);
  await node.backups.settled(call.signal);
  await node.backups.sweepLayers(-1000);
  expect(images(dir)).toEqual([]);
  expect(readdirSync(dir.at("node/backup/images"))).toEqual([]);
});

test(
  "an image that is there is mounted again after a reboot, without unpacking",
  { timeout: 60_000 },
  async () => {
    using dir = scratch();
    await using _ = unmounting(dir);
    let restored: Ran;
    {
      await using node = await startNode({ root: dir.at("node"), config });
      const parent = await makeImage(node, dir);
      const { ran, backup } = await cycle(node, dir, { id: "one", from: undefined, parent, script: mess(1) });
      const script = "true";
      const { backup: next } = await cycle(node, dir, { id: "two", from: backup, parent, script });
      expect(next).not.toBe(backup);
      restored = ran;
    }
    expect(images(dir)).toEqual([]);
    await using node = await startNode({ root: dir.at("node"), config });
    const [backup] = await node.backups.list(call.signal);
    if (backup === undefined) throw new Error("the backup is gone");
    const request = { backupId: backup.id, namespace: space, containerId: containerId("three") };
    await node.backups.requestRestore(request, call.signal);
    const key = keyOf("three");
    await node.snapshotter.prepare({ key, labels: {} }, call);
    const startedAt = performance.now();
    const mounts = await node.snapshotter.mounts({ key }, call);
    const took = performance.now() - startedAt;
    console.log(`Mounts with a local image that is not mounted yet: ${took.toFixed(1)} ms`);
    expect(took).toBeLessThan(1000);
    await using merged = await mountAt(dir.at("merged"), mounts);
    expect(merged).toBeDefined();
    const seen = await describeTree(dir.at("merged"));
    expect(seen.get("./new-1")).toBe(restored.after.get("./new-1"));
  },
);

test("without the tool layers are unpacked", { timeout: 60_000 }, async () => {
  using dir = scratch();
  await using node = await startNode({
    root: dir.at("node"),
    config: { ...config, "mkfs-erofs": dir.at("no-such-program") },
  });
  const parent = await makeImage(node, dir);
  const { ran, backup } = await cycle(node, dir, { id: "one", from: undefined, parent, script: mess(1) });
  const { ran: next } = await cycle(node, dir, { id: "two", from: backup, parent, script: "true" });
  expect(difference(ran.after, next.before)).toEqual([]);
  expect(images(dir)).toEqual([]);
});

test("a container never starts on an image that is not mounted", { timeout: 60_000 }, async () => {
  using dir = scratch();
  await using _ = unmounting(dir);
  await using node = await startNode({ root: dir.at("node"), config });
  const parent = await makeImage(node, dir);
  const { backup } = await cycle(node, dir, { id: "one", from: undefined, parent, script: "echo 1 > a" });
  const request = { backupId: backup, namespace: space, containerId: containerId("two") };
  await node.backups.requestRestore(request, call.signal);
  const { key } = await runContainer(node, dir, { id: "two", parent, script: "cat a" });
  const mounts = await node.snapshotter.mounts({ key }, call);
  for (const target of images(dir)) await linux.unmount(target);
  await expect(mountAt(dir.at("merged"), mounts)).rejects.toMatchObject({ code: "ENOENT" });
  expect(await node.snapshotter.mounts({ key }, call)).toEqual(mounts);
  {
    await using merged = await mountAt(dir.at("merged"), mounts);
    expect(merged).toBeDefined();
    expect(readFileSync(dir.at("merged/a"), "utf8")).toBe("1\n");
  }
});

test(
  "nothing stays mounted when the agent stops, and what runs on an image goes on",
  { timeout: 60_000 },
  async () => {
    using dir = scratch();
    await using _ = unmounting(dir);
    const script = "echo 1 > a; mkdir -p d/e; echo 2 > d/e/f";
    await using running = new AsyncDisposableStack();
    let mounts: readonly Mount[];
    {
      await using node = await startNode({ root: dir.at("node"), config });
      const parent = await makeImage(node, dir);
      const { backup } = await cycle(node, dir, { id: "one", from: undefined, parent, script });
      const request = { backupId: backup, namespace: space, containerId: containerId("two") };
      await node.backups.requestRestore(request, call.signal);
      const { key } = await runContainer(node, dir, { id: "two", parent, script: "cat a" });
      mounts = await node.snapshotter.mounts({ key }, call);
      running.use(await mountAt(dir.at("running"), mounts));
      expect(images(dir)).not.toEqual([]);
    }
    expect(images(dir)).toEqual([]);
    expect(readFileSync(dir.at("running/d/e/f"), "utf8")).toBe("2\n");
    writeFileSync(dir.at("running/d/e/f"), "3\n");
    // A start that the agent answered but did not live to see does not begin without the files.
    await expect(mountAt(dir.at("late"), mounts)).rejects.toMatchObject({ code: "ENOENT" });
    await using again = await startNode({ root: dir.at("node"), config });
    const [bound] = await again.backups.restores(call.signal);
    expect(bound?.state).toBe("done");
    expect(readFileSync(dir.at("running/d/e/f"), "utf8")).toBe("3\n");
  },
);

test(
  "what a killed agent left mounted is adopted, and goes with the next stop",
  { timeout: 60_000 },
  async () => {
    using dir = scratch();
    await using _ = unmounting(dir);
    let left: readonly string[];
    let key: ReturnType<typeof keyOf>;
    {
      await using node = await startNode({ root: dir.at("node"), config });
      const { backup } = await cycle(node, dir, { id: "one", from: undefined, script: "echo 1 > a" });
      const request = { backupId: backup, namespace: space, containerId: containerId("two") };
      await node.backups.requestRestore(request, call.signal);
      ({ key } = await runContainer(node, dir, { id: "two", script: "cat a" }));
      left = images(dir);
    }
    // As after SIGKILL: the mount is there although nobody is.
    const [image] = readdirSync(dir.at("node/backup/images"));
    const [target] = left;
    if (image === undefined || target === undefined) throw new Error("nothing was mounted");
    const source = dir.at("node/backup/images", image);
    await linux.mount({ source, target, type: "erofs", flags: linux.mountFlags.readOnly, data: "" });
    {
      await using node = await startNode({ root: dir.at("node"), config });
      await using merged = await mountAt(dir.at("merged"), await node.snapshotter.mounts({ key }, call));
      expect(merged).toBeDefined();
      expect(images(dir)).toEqual(left);
    }
    expect(images(dir)).toEqual([]);
  },
);
