import { execFileSync } from "node:child_process";
import { chmodSync, lchownSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { containerId, linux } from "@aeon/core";
import { expect, test } from "vitest";
import { enabledLabel } from "../src/index.ts";
import { endOfFinal, newBackupId } from "../src/store/backup-id.ts";
import { enabled, makeImage, mess, removeContainer, runContainer, type Ran } from "./containers.ts";
import { call, Containers, keyOf, mountAt, space, startNode, type TestNode } from "./node.ts";
import { filesBelow, scratch, shell, type Scratch } from "./scratch.ts";
import { describeTree, difference } from "@aeon/testkit";

test(
  "a removed container's files come back in the next one, cycle after cycle",
  { timeout: 120_000 },
  async () => {
    using dir = scratch();
    await using node = await startNode({ root: dir.at("node") });
    const parent = await makeImage(node, dir);
    const differences: string[][] = [];
    let last: Ran | undefined;
    for (let cycle = 0; cycle < 5; cycle += 1) {
      const ran: Ran = await runContainer(node, dir, {
        id: `container-${cycle}`,
        parent,
        script: mess(cycle),
      });
      differences.push(difference(last?.after ?? ran.before, ran.before));
      last = ran;
      const id = await removeContainer(node, ran);
      if (id === undefined) throw new Error("no backup was made");
      expect((await node.backups.get(id, call.signal)).state).toBe("stored");
      await node.backups.requestRestore(
        { backupId: id, namespace: space, containerId: containerId(`container-${cycle + 1}`) },
        call.signal,
      );
    }
    expect(differences).toEqual([[], [], [], [], []]);
    await expect.poll(() => readdirSync(dir.at("node/backup/staging"))).toEqual([]);
    expect(filesBelow(dir.at("node/backup/store/tmp"))).toEqual([]);
  },
);

test("xattrs, ACLs and capabilities that a container sets come back", async () => {
  using dir = scratch();
  await using node = await startNode({ root: dir.at("node") });
  const parent = await makeImage(node, dir);
  const key = keyOf("attributes");
  await node.snapshotter.prepare({ key, parent, labels: { [enabledLabel]: "true" } }, call);
  node.containers.add("attributes");
  let after: ReadonlyMap<string, string>;
  {
    await using _ = await mountAt(dir.at("merged"), await node.snapshotter.mounts({ key }, call));
    const at = (name: string) => join(dir.at("merged"), name);
    linux.setXattrSync(at("etc/f1"), "user.note", Buffer.from([0, 255, 10, 61]));
    linux.setXattrSync(at("etc"), "user.overlay.opaque", Buffer.from("y"));
    linux.setXattrSync(at("opt"), "trusted.overlay.opaque", Buffer.from("mine"));
    linux.setXattrSync(
      at("usr/bin/tool"),
      "security.capability",
      Buffer.from("0100000200200000000000000000000000000000", "hex"),
    );
    linux.setXattrSync(dir.at("merged"), "user.on-root", Buffer.from("r"));
    lchownSync(dir.at("merged"), 5, 6);
    chmodSync(dir.at("merged"), 0o750);
    after = await describeTree(dir.at("merged"));
  }
  const id = await removeContainer(node, { key, before: after, after });
  if (id === undefined) throw new Error("no backup was made");
  await node.backups.requestRestore(
    { backupId: id, namespace: space, containerId: containerId("next") },
    call.signal,
  );
  const next = await runContainer(node, dir, { id: "next", parent, script: "true" });
  expect(difference(after, next.before)).toEqual([]);
});

test("a container without an image layer is restored too", async () => {
  using dir = scratch();
  await using node = await startNode({ root: dir.at("node") });
  const first = await runContainer(node, dir, { id: "one", script: "echo 1 > a; mkdir d; ln a d/b" });
  const id = await removeContainer(node, first);
  if (id === undefined) throw new Error("no backup was made");
  await node.backups.requestRestore(
    { backupId: id, namespace: space, containerId: containerId("two") },
    call.signal,
  );
  const second = await runContainer(node, dir, { id: "two", script: "rm a; echo 2 > d/c" });
  expect(difference(first.after, second.before)).toEqual([]);
  const next = await removeContainer(node, second);
  if (next === undefined) throw new Error("no backup was made");
  await node.backups.requestRestore(
    { backupId: next, namespace: space, containerId: containerId("three") },
    call.signal,
  );
  const third = await runContainer(node, dir, { id: "three", script: "true" });
  expect(difference(second.after, third.before)).toEqual([]);
});

const median = (values: readonly number[] = []): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

test("Remove takes the same few milliseconds for any size", { timeout: 300_000 }, async () => {
  using dir = scratch();
  await using node = await startNode({ root: dir.at("node"), config: { concurrency: 1 } });
  const parent = await makeImage(node, dir);
  const times: Record<string, number[]> = { small: [], files: [] };
  for (let round = 0; round < 10; round += 1)
    for (const [name, script] of [
      ["small", "echo 1 > a"],
      [
        "files",
        "mkdir many; cd many; seq 1 2000 | xargs touch; dd if=/dev/zero of=big bs=1M count=20 status=none",
      ],
    ] as const) {
      const ran = await runContainer(node, dir, { id: `${name}-${round}`, parent, script });
      const startedAt = performance.now();
      await node.snapshotter.remove({ key: ran.key }, call);
      times[name]?.push(performance.now() - startedAt);
    }
  console.log(
    `Remove of a kept snapshot, median: ${median(times["small"]).toFixed(1)} ms small, ${median(times["files"]).toFixed(1)} ms with 2000 files`,
  );
  expect(median(times["files"])).toBeLessThan(median(times["small"]) * 3 + 10);
});

test("keeps only what has to be kept", async () => {
  using dir = scratch();
  const root = dir.at("node");
  {
    await using node = await startNode({ root });
    const parent = await makeImage(node, dir);
    const cases = [
      { id: "unlabelled", labels: {}, script: "echo 1 > a" },
      { id: "declined", labels: { [enabledLabel]: "false" }, script: "echo 1 > a" },
      { id: "unchanged", labels: enabled, script: "true" },
      { id: "sandbox", labels: { ...enabled, "io.cri-containerd.kind": "sandbox" }, script: "echo 1 > a" },
    ];
    for (const each of cases) {
      const backup = await removeContainer(node, await runContainer(node, dir, { ...each, parent }));
      expect({ [each.id]: backup }).toEqual({ [each.id]: undefined });
    }
    const view = keyOf("view");
    await node.snapshotter.view({ key: view, parent, labels: enabled }, call);
    await node.snapshotter.remove({ key: view }, call);
    expect(await node.backups.list(call.signal)).toEqual([]);
  }
  await using all = await startNode({ root, config: { "default-policy": "all" } });
  const ran = await runContainer(all, dir, { id: "any", labels: {}, script: "echo 1 > a" });
  expect(await removeContainer(all, ran)).toBeDefined();
  const declined = await runContainer(all, dir, {
    id: "no",
    labels: { [enabledLabel]: "false" },
    script: "echo 1 > a",
  });
  expect(await removeContainer(all, declined)).toBeUndefined();
});

test("a pod's label counts for its containers, also when the sandbox goes first", async () => {
  using dir = scratch();
  await using node = await startNode({ root: dir.at("node") });
  const pod = {
    "io.kubernetes.pod.name": "p",
    "io.kubernetes.pod.namespace": "n",
    "io.kubernetes.pod.uid": "u-1",
  };
  const sandbox = await runContainer(node, dir, {
    id: "pause",
    labels: { ...pod, ...enabled, "io.cri-containerd.kind": "sandbox" },
    script: "true",
  });
  const first = await runContainer(node, dir, {
    id: "first",
    labels: { ...pod, "io.kubernetes.container.name": "first" },
    script: "echo 1 > a",
  });
  const second = await runContainer(node, dir, {
    id: "second",
    labels: { ...pod, "io.kubernetes.container.name": "second" },
    script: "echo 1 > a",
  });
  expect(await removeContainer(node, first)).toBeDefined();
  expect(await removeContainer(node, sandbox)).toBeUndefined();
  const id = await removeContainer(node, second);
  if (id === undefined) throw new Error("no backup was made");
  const { pod: identity } = await node.backups.get(id, call.signal);
  expect(identity).toEqual({ namespace: "n", name: "p", uid: "u-1", container: "second" });
});

test("refuses removals while staging is over its limit, and goes on when there is room again", async () => {
  using dir = scratch();
  const root = dir.at("node");
  const blocked = { "staging-limit": 4096, store: { path: dir.at("store") } } as const;
  let waiting: Ran;
  let refused: Ran;
  writeFileSync(dir.at("store"), "a file where the store's folder should be");
  {
    await using node = await startNode({ root, config: blocked });
    waiting = await runContainer(node, dir, {
      id: "waiting",
      script: "dd if=/dev/urandom of=a bs=1k count=64 status=none",
    });
    await expect(removeContainer(node, waiting)).rejects.toThrow(/cannot use/);
    refused = await runContainer(node, dir, { id: "refused", script: "echo 1 > a" });
    await expect
      .poll(() => node.checks.get("staging")?.().ok, { timeout: 20_000, message: "staged layer is measured" })
      .toBe(false);
    await expect(node.snapshotter.remove({ key: refused.key }, call)).rejects.toMatchObject({
      code: "failed-precondition",
      reason: "STAGING_FULL",
    });
    expect(node.checks.get("store")?.()).toMatchObject({ ok: false });
    expect((await node.snapshotter.stat({ key: refused.key }, call)).kind).toBe("active");
  }
  rmSync(dir.at("store"));
  await using node = await startNode({ root, config: blocked, containers: refusedContainers() });
  const [first] = await node.backups.list(call.signal);
  if (first === undefined) throw new Error("the staged backup is gone");
  await expect
    .poll(async () => (await node.backups.get(first.id, call.signal)).state, { timeout: 20_000 })
    .toBe("stored");
  expect(await removeContainer(node, refused)).toBeDefined();
  expect(node.checks.get("staging")?.()).toEqual({ ok: true });
});

test("says that staging is on another file system, and loses nothing", async () => {
  using dir = scratch();
  mkdirSync(dir.at("other"));
  execFileSync("mount", ["-t", "tmpfs", "none", dir.at("other")]);
  try {
    await using node = await startNode({ root: dir.at("node"), config: { staging: dir.at("other") } });
    const ran = await runContainer(node, dir, { id: "one", script: "echo 1 > a" });
    await expect(node.snapshotter.remove({ key: ran.key }, call)).rejects.toMatchObject({
      code: "failed-precondition",
      reason: "STAGING_ELSEWHERE",
    });
    expect(node.checks.get("staging")?.()).toMatchObject({ ok: false });
  } finally {
    execFileSync("umount", [dir.at("other")]);
  }
});

test("never starts a container on a damaged backup, and restores nothing into one that has started", async () => {
  using dir = scratch();
  await using node = await startNode({ root: dir.at("node") });
  const ran = await runContainer(node, dir, { id: "one", script: "seq 1 100000 > a" });
  const id = await removeContainer(node, ran);
  if (id === undefined) throw new Error("no backup was made");
  const started = await runContainer(node, dir, { id: "started", script: "echo 1 > mine" });
  const request = (container: string) =>
    node.backups.requestRestore(
      { backupId: id, namespace: space, containerId: containerId(container) },
      call.signal,
    );
  await expect(request("started")).rejects.toMatchObject({ reason: "RESTORE_TOO_LATE" });
  expect(difference(started.after, (await runAgain(node, dir, started)).before)).toEqual([]);

  const blobs = dir.at("node/backup/store/t/default/blobs/sha256");
  const largest = shell(`ls -S ${blobs} | head -1`, "/").trim();
  shell(`printf '\\377' | dd of=${join(blobs, largest)} bs=1 seek=200 conv=notrunc status=none`, "/");
  await request("victim");
  const key = keyOf("victim");
  await node.snapshotter.prepare({ key, labels: {} }, call);
  await expect(node.snapshotter.mounts({ key }, call)).rejects.toMatchObject({
    code: "unavailable",
    reason: "RESTORE_FAILED",
  });
  expect(readdirSync(dir.at("node/backup/layers"))).toEqual([]);
  const [restore] = await node.backups.restores(call.signal);
  expect(restore).toMatchObject({ state: "pending", containerId: "victim" });
});

test("deletes unpacked layers only when no container is on them", async () => {
  using dir = scratch();
  await using node = await startNode({ root: dir.at("node") });
  const id = await removeContainer(node, await runContainer(node, dir, { id: "one", script: "echo 1 > a" }));
  if (id === undefined) throw new Error("no backup was made");
  await node.backups.requestRestore(
    { backupId: id, namespace: space, containerId: containerId("two") },
    call.signal,
  );
  const two = await runContainer(node, dir, { id: "two", script: "true" });
  expect(await node.backups.sweepLayers(0)).toBe(0);
  await expect(
    node.snapshotter.commit({ name: keyOf("committed"), key: two.key, labels: {} }, call),
  ).rejects.toMatchObject({ code: "failed-precondition", reason: "RESTORED_NOT_COMMITTED" });
  // The second backup holds nothing of its own, but stands for the first one's files.
  const next = await removeContainer(node, two);
  if (next === undefined) throw new Error("no backup was made");
  expect(await node.backups.get(next, call.signal)).toMatchObject({ parent: id, size: 0n });
  expect(await node.backups.sweepLayers(3_600_000)).toBe(0);
  expect(await node.backups.sweepLayers(-1000)).toBe(1);
  await node.backups.requestRestore(
    { backupId: next, namespace: space, containerId: containerId("three") },
    call.signal,
  );
  const three = await runContainer(node, dir, { id: "three", script: "true" });
  expect(difference(two.after, three.before)).toEqual([]);
});

function refusedContainers(): Containers {
  const containers = new Containers();
  containers.add("refused", enabled);
  return containers;
}

async function runAgain(node: TestNode, dir: Scratch, { key }: Ran): Promise<Ran> {
  await using _ = await mountAt(dir.at("merged"), await node.snapshotter.mounts({ key }, call));
  const before = await describeTree(dir.at("merged"));
  return { key, before, after: before };
}

test("a moved layer whose record was lost with the power is found again", { timeout: 60_000 }, async () => {
  using dir = scratch();
  const root = dir.at("node");
  let ran: Ran;
  const staging = join(root, "backup/staging");
  {
    await using node = await startNode({ root });
    ran = await runContainer(node, dir, { id: "lost", script: "echo 1 > a" });
    const { createdAt } = await node.snapshotter.stat({ key: ran.key }, call);
    const upperdir = node.registry.bySnapshot(ran.key)?.upperdir ?? "";
    const folder = join(staging, newBackupId(new Date(), endOfFinal(ran.key, createdAt)));
    mkdirSync(folder);
    renameSync(upperdir, join(folder, "fs"));
  }
  const containers = new Containers();
  containers.add("lost", enabled);
  await using node = await startNode({ root, containers });
  expect(node.checks.get("staging")?.()).toMatchObject({ ok: false });
  const id = await removeContainer(node, ran);
  expect(id).toBeDefined();
  expect(node.checks.get("staging")?.()).toEqual({ ok: true });
  await node.backups.settled(call.signal);
  expect(readdirSync(staging)).toEqual([]);
});
