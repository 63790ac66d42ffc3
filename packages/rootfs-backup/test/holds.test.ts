import { existsSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { containerId, silentLogger, type BackupId } from "@aeon/core";
import { difference } from "@aeon/testkit";
import { expect, test } from "vitest";
import { backupStore, posixObjects, type BackupStore } from "../src/index.ts";
import { layout } from "../src/store/layout.ts";
import { cycle, enabled, removeContainer, runContainer } from "./containers.ts";
import { call, space, startNode, type TestNode } from "./node.ts";
import { filesBelow, scratch, type Scratch } from "./scratch.ts";

const { signal } = call;
const day = 24 * 3_600_000;

/** The store as a third party sees it. */
const open = (dir: Scratch): BackupStore =>
  backupStore({ objects: posixObjects({ path: dir.at("store"), writer: "third" }), log: silentLogger });

function age(dir: Scratch, ms: number, isAged: (path: string) => boolean = () => true): void {
  const time = (Date.now() - ms) / 1000;
  for (const file of filesBelow(dir.at("store/t"))) if (isAged(file)) utimesSync(file, time, time);
}

async function runOn(node: TestNode, dir: Scratch, backup: BackupId, id: string) {
  const request = { backupId: backup, namespace: space, containerId: containerId(id) };
  await node.backups.requestRestore(request, signal);
  return await runContainer(node, dir, { id, labels: enabled, script: `echo ${id} > by` });
}

test("what a container of any node runs on is not removed, nor its data", { timeout: 120_000 }, async () => {
  using dir = scratch();
  const config = { store: { path: dir.at("store") } } as const;
  await using first = await startNode({ root: dir.at("first"), config });
  await using second = await startNode({ root: dir.at("second"), config });
  await using store = open(dir);
  const { ran, backup } = await cycle(first, dir, { id: "one", from: undefined, script: "echo 1 > a" });
  const restored = await runOn(second, dir, backup, "two");
  expect(difference(ran.after, restored.before)).toEqual([]);
  const refusal = { reason: "BACKUP_IN_USE", code: "failed-precondition" };
  await expect(second.backups.remove(backup, signal)).rejects.toMatchObject(refusal);
  await expect(first.backups.remove(backup, signal)).rejects.toMatchObject({
    ...refusal,
    message: expect.stringContaining(restored.key),
  });
  await expect(store.removeBackup(backup, signal)).rejects.toMatchObject(refusal);
  // What was refused changed nothing.
  expect((await first.backups.list(signal)).find(({ id }) => id === backup)?.storedAt).toBeDefined();
  expect(await store.retain({ maxAgeMs: 0 }, Date.now() + day, signal)).toEqual([]);
  // Even when the name is lost, no sweep takes the data from under the container.
  const [layer] = await first.chain(backup);
  if (layer === undefined) throw new Error("backup has no layer");
  const blob = dir.at("store", layout.blob("default", layer.digest));
  const names = ["backups", "w"].flatMap((each) => filesBelow(dir.at("store/t/default", each)));
  for (const name of names) rmSync(name);
  age(dir, 3 * day, (path) => !path.includes("/holds/"));
  await store.sweep({ signal });
  expect(existsSync(blob)).toBe(true);
  // The container's own backup stands on that data.
  const next = await removeContainer(second, restored);
  if (next === undefined) throw new Error("no backup");
  expect((await second.chain(next)).map(({ digest }) => digest)).toContain(layer.digest);
});

test(
  "who insists removes what a container runs on, which loses nothing by that",
  { timeout: 120_000 },
  async () => {
    using dir = scratch();
    const config = { store: { path: dir.at("store") } } as const;
    await using first = await startNode({ root: dir.at("first"), config });
    await using second = await startNode({ root: dir.at("second"), config });
    await using store = open(dir);
    const { backup } = await cycle(first, dir, { id: "one", from: undefined, script: "echo 1 > a" });
    const restored = await runOn(second, dir, backup, "two");
    await store.pin(backup, "evidence", signal);
    const pinned = { reason: "BACKUP_PINNED" };
    await expect(second.backups.remove(backup, signal, { force: true })).rejects.toMatchObject(pinned);
    await store.unpin(backup, signal);
    await expect(second.backups.remove(backup, signal)).rejects.toMatchObject({ reason: "BACKUP_IN_USE" });
    await second.backups.remove(backup, signal, { force: true });
    expect(await store.hasBackup(backup, "default", signal)).toBe(false);
    // Also on the node that made it, whose own record of it goes with the next round of housekeeping.
    for (const node of [first, second])
      expect((await node.backups.list(signal)).map(({ id }) => id)).not.toContain(backup);
    await expect(runOn(first, dir, backup, "late")).rejects.toMatchObject({ reason: "RESTORE_FAILED" });
    // The node's hold keeps the data, also after its layers were unpacked anew.
    age(dir, 3 * day, (path) => !path.includes("/holds/"));
    await store.sweep({ signal });
    const next = await removeContainer(second, restored);
    if (next === undefined) throw new Error("no backup");
    const again = await runOn(first, dir, next, "three");
    expect(difference(restored.after, again.before)).toEqual([]);
  },
);

test("what nobody runs on any more can be removed, on all nodes", { timeout: 120_000 }, async () => {
  using dir = scratch();
  const config = { store: { path: dir.at("store") } } as const;
  await using first = await startNode({ root: dir.at("first"), config });
  await using second = await startNode({ root: dir.at("second"), config });
  const { backup } = await cycle(first, dir, { id: "one", from: undefined, script: "echo 1 > a" });
  const restored = await runOn(second, dir, backup, "two");
  await expect(first.backups.remove(backup, signal)).rejects.toMatchObject({ reason: "BACKUP_IN_USE" });
  const next = await removeContainer(second, restored);
  await second.backups.remove(backup, signal);
  await using store = open(dir);
  expect(await store.holds("default", signal)).toEqual([]);
  expect(await store.hasBackup(backup, "default", signal)).toBe(false);
  // The later one stays whole.
  if (next === undefined) throw new Error("no backup");
  expect((await runOn(first, dir, next, "three")).before.get("./a")).toBeDefined();
});

test("a lost node's claims end, a restarted one renews them", { timeout: 120_000 }, async () => {
  using dir = scratch();
  const config = { store: { path: dir.at("store") }, retention: { hold: "2d" } } as const;
  await using store = open(dir);
  let backup: BackupId;
  {
    await using node = await startNode({ root: dir.at("node"), config });
    ({ backup } = await cycle(node, dir, { id: "one", from: undefined, script: "echo 1 > a" }));
    await runOn(node, dir, backup, "two");
  }
  age(dir, 1 * day);
  await expect(store.removeBackup(backup, signal)).rejects.toMatchObject({ reason: "BACKUP_IN_USE" });
  {
    await using node = await startNode({ root: dir.at("node"), config });
    // Waits for the claims to be written.
    await expect(node.backups.remove(backup, signal)).rejects.toMatchObject({ reason: "BACKUP_IN_USE" });
  }
  age(dir, 3 * day);
  expect(await store.holds("default", signal)).toEqual([]);
  await store.removeBackup(backup, signal);
  age(dir, 3 * day);
  await store.sweep({ signal });
  expect(filesBelow(dir.at("store/t/default/holds"))).toEqual([]);
});

test("a store that takes no writes keeps nobody from starting", { timeout: 60_000 }, async () => {
  using dir = scratch();
  const config = { store: { path: dir.at("store") } } as const;
  await using node = await startNode({ root: dir.at("node"), config });
  const { ran, backup } = await cycle(node, dir, { id: "one", from: undefined, script: "echo 1 > a" });
  writeFileSync(dir.at("store/t/default/holds"), "a file where a folder should be");
  const restored = await runOn(node, dir, backup, "two");
  expect(difference(ran.after, restored.before)).toEqual([]);
});

test("what a container released is free when the agent stops right after", { timeout: 60_000 }, async () => {
  using dir = scratch();
  const config = { store: { path: dir.at("store") } } as const;
  await using store = open(dir);
  let backup: BackupId;
  {
    await using node = await startNode({ root: dir.at("node"), config });
    ({ backup } = await cycle(node, dir, { id: "one", from: undefined, script: "echo 1 > a" }));
    const { key } = await runOn(node, dir, backup, "two");
    expect(await store.holds("default", signal)).toHaveLength(1);
    await node.snapshotter.remove({ key }, call);
  }
  expect(await store.holds("default", signal)).toEqual([]);
  await store.removeBackup(backup, signal);
});
