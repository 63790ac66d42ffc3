import { existsSync, renameSync, rmSync } from "node:fs";
import { containerId, isAeonError, type BackupId } from "@aeon/core";
import { describeTree, difference } from "@aeon/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { enabled, removeContainer, runContainer, type Ran } from "./containers.ts";
import { call, keyOf, mountAt, space, startNode, type TestNode } from "./node.ts";
import { scratch, type Scratch } from "./scratch.ts";
import { smallDisk } from "./small-disk.ts";

const within = { timeout: 30_000, interval: 50 };

let dir: Scratch;
beforeEach(() => {
  dir = scratch();
});
afterEach(() => {
  vi.restoreAllMocks();
  dir[Symbol.dispose]();
});

const script = "mkdir -p d; seq 1 3000 > d/numbers; ln d/numbers hard; head -c 300000 /dev/urandom > random";

/** The backup of a removed container, whatever its state. */
async function backupOf(node: TestNode, { key }: Ran) {
  return (await node.backups.list(call.signal)).find(({ snapshotKey }) => snapshotKey === key);
}

const stateOf = async (node: TestNode, ran: Ran) => (await backupOf(node, ran))?.state;

/** Removes a container without waiting for its backup. */
const remove = (node: TestNode, { key }: Ran): Promise<void> => node.snapshotter.remove({ key }, call);

/** Why a backup could not be stored, once that was tried. */
async function failureOf(node: TestNode, ran: Ran): Promise<string> {
  await vi.waitUntil(async () => (await stateOf(node, ran)) === "failed", within);
  return (await backupOf(node, ran))?.failure ?? "";
}

const stored = (node: TestNode, ran: Ran) =>
  vi.waitUntil(async () => (await stateOf(node, ran)) === "stored", within);

/** Starts a container with the files of a backup and compares them. */
async function expectRestored(
  node: TestNode,
  id: string,
  backup: BackupId,
  tree: Ran["after"],
): Promise<void> {
  node.containers.add(id, enabled);
  await node.backups.requestRestore(
    { backupId: backup, namespace: space, containerId: containerId(id) },
    call.signal,
  );
  const key = keyOf(id);
  await node.snapshotter.prepare({ key, labels: {} }, call);
  await using _ = await mountAt(dir.at(`restored-${id}`), await node.snapshotter.mounts({ key }, call));
  expect(difference(tree, await describeTree(dir.at(`restored-${id}`)))).toEqual([]);
}

async function expectBackup(node: TestNode, ran: Ran, id: string): Promise<void> {
  await stored(node, ran);
  const backup = await backupOf(node, ran);
  if (backup === undefined) throw new Error("the backup is gone");
  await expectRestored(node, id, backup.id, ran.after);
}

test("a full store delays backups and loses none", { timeout: 120_000 }, async () => {
  await using disk = await smallDisk(dir, "store", { megabytes: 16 });
  await using node = await startNode({ root: dir.at("node"), config: { store: { path: disk.path } } });
  disk.fill();
  const ran = await runContainer(node, dir, { id: "a", script });
  await remove(node, ran);
  expect(await failureOf(node, ran)).toMatch(/ENOSPC|no space/i);
  expect(node.checks.get("store")?.()).toMatchObject({ ok: false });
  disk.free();
  await expectBackup(node, ran, "b");
});

test("a store without inodes delays backups and loses none", { timeout: 120_000 }, async () => {
  await using disk = await smallDisk(dir, "store", { megabytes: 16, inodes: 64 });
  await using node = await startNode({ root: dir.at("node"), config: { store: { path: disk.path } } });
  disk.useInodes();
  const ran = await runContainer(node, dir, { id: "a", script });
  await remove(node, ran);
  expect(await failureOf(node, ran)).toMatch(/ENOSPC|no space/i);
  disk.free();
  await expectBackup(node, ran, "b");
});

test("a store that cannot be written delays backups and loses none", { timeout: 120_000 }, async () => {
  await using disk = await smallDisk(dir, "store", { megabytes: 16 });
  await using node = await startNode({ root: dir.at("node"), config: { store: { path: disk.path } } });
  disk.setReadOnly(true);
  const ran = await runContainer(node, dir, { id: "a", script });
  await remove(node, ran);
  expect(await failureOf(node, ran)).toMatch(/EROFS|read-only/i);
  disk.setReadOnly(false);
  await expectBackup(node, ran, "b");
});

test(
  "a store that vanishes fails clearly, and all goes on when it is back",
  { timeout: 120_000 },
  async () => {
    await using node = await startNode({
      root: dir.at("node"),
      config: { store: { path: dir.at("store") } },
    });
    const first = await runContainer(node, dir, { id: "a", script });
    const id = await removeContainer(node, first);
    if (id === undefined) throw new Error("no backup was made");
    await node.backups.settled(call.signal);
    renameSync(dir.at("store"), dir.at("elsewhere"));
    const second = await runContainer(node, dir, { id: "b", script: "echo second > file" });
    await remove(node, second);
    await vi.waitUntil(async () => (await stateOf(node, second)) !== "staged", within);
    // A new folder of that name would hide the backups of the old one.
    node.containers.add("c", enabled);
    await node.backups.requestRestore(
      { backupId: id, namespace: space, containerId: containerId("c") },
      call.signal,
    );
    const key = keyOf("c");
    await node.snapshotter.prepare({ key, labels: {} }, call);
    await expect(node.snapshotter.mounts({ key }, call)).rejects.toMatchObject({ code: "unavailable" });
    const made = existsSync(dir.at("store"));
    if (made) rmSync(dir.at("store"), { recursive: true });
    renameSync(dir.at("elsewhere"), dir.at("store"));
    expect(made, "a store of that name was made anew").toBe(false);
    await expectBackup(node, second, "d");
    await using _ = await mountAt(dir.at("late"), await node.snapshotter.mounts({ key }, call));
    expect(difference(first.after, await describeTree(dir.at("late")))).toEqual([]);
  },
);

test.for(["space", "inodes"] as const)(
  "without %s on the node's disk a removal is refused or safe, and goes through later",
  { timeout: 120_000 },
  async (what) => {
    await using disk = await smallDisk(dir, "disk", { megabytes: 64, inodes: 600 });
    const config = { store: { path: dir.at("store") } };
    await using node = await startNode({ root: `${disk.path}/node`, config });
    const ran = await runContainer(node, dir, { id: "a", script });
    if (what === "space") disk.fill();
    else disk.useInodes();
    const refusal: unknown = await remove(node, ran).then(
      () => undefined,
      (error: unknown) => error,
    );
    // Nothing else than this may be the answer, or containerd ends its collection.
    expect(refusal).toSatisfy((error) => error === undefined || isAeonError(error, "failed-precondition"));
    disk.free();
    if (refusal !== undefined) await remove(node, ran);
    await expectBackup(node, ran, "b");
  },
);

test.for(["space", "inodes"] as const)(
  "a node without %s refuses the start of a restored container and leaves nothing half",
  { timeout: 120_000 },
  async (what) => {
    const config = { store: { path: dir.at("store") } };
    let [backup, tree]: [BackupId | undefined, Ran["after"]] = [undefined, new Map()];
    {
      await using origin = await startNode({ root: dir.at("origin"), config });
      const many = "mkdir many; cd many; seq 1 900 | xargs touch; head -c 9000000 /dev/urandom > random";
      const ran = await runContainer(origin, dir, { id: "a", script: many });
      [backup, tree] = [await removeContainer(origin, ran), ran.after];
      await origin.backups.settled(call.signal);
    }
    if (backup === undefined) throw new Error("no backup was made");
    await using disk = await smallDisk(dir, "disk", { megabytes: 64, inodes: 2000 });
    await using node = await startNode({ root: `${disk.path}/node`, config });
    // Enough for the records, not for the files.
    if (what === "space") disk.fill(4_000_000);
    else disk.useInodes(200);
    const key = keyOf("b");
    const start = async () => {
      node.containers.add("b", enabled);
      await node.backups.requestRestore(
        { backupId: backup, namespace: space, containerId: containerId("b") },
        call.signal,
      );
      await node.snapshotter.prepare({ key, labels: {} }, call);
      await node.snapshotter.mounts({ key }, call);
    };
    const refusal: unknown = await start().catch((error: unknown) => error);
    expect(refusal).toSatisfy((error) => error instanceof Error && /space|inode/i.test(error.message));
    disk.free();
    await expectRestored(node, "c", backup, tree);
  },
);

test.for([
  ["forward", 400],
  ["back", -400],
] as const)("a clock set %s (%i days) delays no backup", { timeout: 120_000 }, async ([, days]) => {
  await using disk = await smallDisk(dir, "store", { megabytes: 16 });
  const config = { store: { path: disk.path } };
  let ran: Ran;
  {
    await using node = await startNode({ root: dir.at("node"), config });
    disk.fill();
    ran = await runContainer(node, dir, { id: "a", script });
    await remove(node, ran);
    await failureOf(node, ran);
  }
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() + days * 86_400_000);
  disk.free();
  await using node = await startNode({ root: dir.at("node"), config });
  await expectBackup(node, ran, "b");
  const later = await runContainer(node, dir, { id: "c", script });
  await remove(node, later);
  await expectBackup(node, later, "d");
  const times = (await node.backups.list(call.signal)).map(({ id }) => id);
  expect(new Set(times).size).toBe(2);
});

test("two nodes that back up the same workload at once lose neither", { timeout: 120_000 }, async () => {
  const config = { store: { path: dir.at("store") } };
  await using one = await startNode({ root: dir.at("one"), config });
  await using other = await startNode({ root: dir.at("other"), config });
  const labels = { ...enabled, "backup.container.io/key": "shared" };
  const runs: (readonly [typeof one, Ran])[] = [];
  for (const [node, name] of [
    [one, "one"],
    [other, "other"],
    [one, "one-more"],
    [other, "other-more"],
  ] as const)
    runs.push([node, await runContainer(node, dir, { id: name, labels, script: `echo ${name} > ${name}` })]);
  await Promise.all(runs.map(([node, ran]) => remove(node, ran)));
  for (const [index, [node, ran]] of runs.entries()) {
    await stored(node, ran);
    const backup = await backupOf(node, ran);
    if (backup === undefined) throw new Error("a backup is gone");
    // On the node that did not make it.
    await expectRestored(node === one ? other : one, `r-${index}`, backup.id, ran.after);
  }
  expect(await one.backups.list(call.signal)).toHaveLength(runs.length);
});
