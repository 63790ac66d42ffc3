import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { containerId, ownSnapshotPrefix, silentLogger, snapshotKey, type Snapshotter } from "@aeon/core";
import { openOverlaySnapshotter } from "@aeon/snapshotter";
import { describeTree, difference } from "@aeon/testkit";
import { expect, test, vi } from "vitest";
import { packFile, type StoredLayer } from "../src/index.ts";
import { layerId } from "../src/restore/layer-name.ts";
import { LayerCache } from "../src/restore/layer-cache.ts";
import type { FillFolder } from "../src/restore/fill-folder.ts";
import type { RestoredLayers } from "../src/restore/restored-layers.ts";
import { Room } from "../src/restore/room.ts";
import { SnapshotLayers } from "../src/restore/snapshot-layers.ts";
import { ArchiveWorker } from "../src/worker/archive-worker.ts";
import { cycle, enabled, removeContainer, runContainer, type Ran } from "./containers.ts";
import { call, space, startNode } from "./node.ts";
import { scratch, shell, type Scratch } from "./scratch.ts";

interface Home extends AsyncDisposable {
  readonly layers: RestoredLayers;
  /** What is on disk and in the backend, of whatever state. */
  everything(): Promise<readonly string[]>;
  /** The same after the process was killed. */
  reopened(): Promise<Home>;
}

const worker = new ArchiveWorker();

async function snapshotHome(root: string, fill: FillFolder): Promise<Home> {
  const backend: Snapshotter = await openOverlaySnapshotter({ root: join(root, "snapshots") });
  const layers = new SnapshotLayers({ backend, fill, worker, room: new Room(), log: silentLogger });
  expect(await layers.isSupported()).toBe(true);
  const dispose = async (): Promise<void> => {
    await layers[Symbol.asyncDispose]();
    await backend[Symbol.asyncDispose]();
  };
  return {
    layers,
    everything: async () => {
      const infos = await Array.fromAsync(await backend.list({ filters: [] }, call));
      await backend.cleanup({}, call);
      const folders = readdirSync(join(root, "snapshots/snapshots"));
      expect(folders).toHaveLength(infos.length);
      return infos.map(({ name }) => name.slice(ownSnapshotPrefix.length)).toSorted();
    },
    reopened: async () => {
      await dispose();
      return await snapshotHome(root, fill);
    },
    [Symbol.asyncDispose]: dispose,
  };
}

async function cacheHome(root: string, fill: FillFolder): Promise<Home> {
  const path = join(root, "layers");
  const layers = await LayerCache.open({ path, fill, worker, room: new Room(), log: silentLogger });
  return {
    layers,
    everything: async () => readdirSync(path),
    reopened: async () => {
      await layers[Symbol.asyncDispose]();
      return await cacheHome(root, fill);
    },
    [Symbol.asyncDispose]: () => layers[Symbol.asyncDispose](),
  };
}

const homes = { snapshots: snapshotHome, cache: cacheHome } as const;
const kinds = ["snapshots", "cache"] as const;

async function makeLayer(dir: Scratch): Promise<{ layer: StoredLayer; fill: FillFolder }> {
  mkdirSync(dir.at("upper"));
  shell(
    "seq 1 50000 > a; mkdir d; ln a d/b; mknod gone c 0 0; for i in $(seq 300); do echo $i > d/$i; done",
    dir.at("upper"),
  );
  const { layer } = await packFile({
    source: dir.at("upper"),
    target: dir.at("blob"),
    overlay: "trusted",
    level: 1,
  });
  const fill: FillFolder = ({ layer: wanted, overlay, target }, signal) =>
    worker.unpack({ source: dir.at("blob"), layer: wanted, overlay, target }, signal);
  return { layer: { ...layer, tenant: "t", backup: "b" }, fill };
}

test.for(kinds)("layers are made once, are what was packed, and are found again (%s)", async (kind) => {
  using dir = scratch();
  const { layer, fill } = await makeLayer(dir);
  let fills = 0;
  const counted: FillFolder = async (request, signal) => {
    fills += 1;
    await fill(request, signal);
  };
  await using home = await homes[kind](dir.path, counted);
  const [first, joined] = await Promise.all([
    home.layers.ensure(layer, "trusted"),
    home.layers.ensure(layer, "trusted"),
  ]);
  expect(joined).toBe(first);
  const expected = await describeTree(dir.at("upper"), { layer: true });
  expect(difference(expected, await describeTree(first, { layer: true }))).toEqual([]);
  const user = await home.layers.ensure(layer, "user");
  expect(user).not.toBe(first);
  await using again = await home.reopened();
  expect(await again.layers.ensure(layer, "trusted")).toBe(first);
  expect(fills).toBe(2);
  expect(await again.layers.sweep(() => new Set([layerId(layer)]), -1000)).toEqual([]);
  expect(await again.layers.sweep(() => new Set(), 3_600_000)).toEqual([]);
  expect(await again.layers.sweep(() => new Set(), -1000)).toHaveLength(2);
  expect(await again.everything()).toEqual([]);
  expect(await again.layers.ensure(layer, "trusted")).toBeDefined();
  expect(fills).toBe(3);
});

test.for(kinds)("nothing is left of a layer that cannot be made whole (%s)", async (kind) => {
  using dir = scratch();
  const { layer, fill } = await makeLayer(dir);
  await using home = await homes[kind](dir.path, fill);
  const wrong = { ...layer, diffId: `sha256:${"0".repeat(64)}` };
  await expect(home.layers.ensure(wrong, "trusted")).rejects.toMatchObject({ reason: "ARCHIVE_CORRUPT" });
  expect(await home.everything()).toEqual([]);
});

test.for(kinds)("what a killed process left unfinished is deleted (%s)", async (kind) => {
  using dir = scratch();
  const { layer, fill } = await makeLayer(dir);
  const cutOff: FillFolder = async (request, signal) => {
    await fill(request, signal);
    await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  const home = await homes[kind](dir.path, cutOff);
  const pending = home.layers.ensure(layer, "trusted");
  pending.catch(() => {});
  await expect.poll(async () => (await home.everything()).length).toBe(1);
  await using again = await home.reopened();
  await expect(pending).rejects.toThrow("lifetime ended");
  await again.layers.sweep(() => new Set([layerId(layer)]), 3_600_000);
  expect(await again.everything()).toEqual([]);
});

test.for([
  { kind: "snapshots", what: "bytes", options: "size=600k" },
  { kind: "cache", what: "bytes", options: "size=600k" },
  { kind: "snapshots", what: "inodes", options: "nr_inodes=200" },
  { kind: "cache", what: "inodes", options: "nr_inodes=200" },
] as const)("a disk without $what is told before anything is written ($kind)", async ({ kind, options }) => {
  using dir = scratch();
  const { layer, fill } = await makeLayer(dir);
  mkdirSync(dir.at("small"));
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "none", dir.at("small")]);
  try {
    await using home = await homes[kind](dir.at("small"), fill);
    await expect(home.layers.ensure(layer, "trusted")).rejects.toMatchObject({
      code: "unavailable",
      reason: "RESTORE_NO_ROOM",
    });
    expect(await home.everything()).toEqual([]);
  } finally {
    execFileSync("umount", [dir.at("small")]);
  }
});

test.for(kinds)("a disk that fills up meanwhile leaves nothing behind (%s)", async (kind) => {
  using dir = scratch();
  const { layer, fill } = await makeLayer(dir);
  mkdirSync(dir.at("small"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8M,mode=700", "none", dir.at("small")]);
  try {
    const filled: FillFolder = async (request, signal) => {
      shell(
        "dd if=/dev/zero of=filler bs=64k status=none 2>/dev/null || true; truncate -s -192k filler",
        dir.at("small"),
      );
      await fill(request, signal);
    };
    await using home = await homes[kind](dir.at("small"), filled);
    await expect(home.layers.ensure(layer, "trusted")).rejects.toMatchObject({ code: "resource-exhausted" });
    expect(await home.everything()).toEqual([]);
  } finally {
    execFileSync("umount", [dir.at("small")]);
  }
});

test(
  "layers that an earlier version named by their digests stay under containers, and go after them",
  { timeout: 60_000 },
  async () => {
    using dir = scratch();
    const root = dir.at("node");
    const names: string[] = [];
    let two: Ran;
    {
      await using node = await startNode({ root });
      const { backup } = await cycle(node, dir, { id: "one", from: undefined, script: "echo 1 > a" });
      const request = { backupId: backup, namespace: space, containerId: containerId("two") };
      await node.backups.requestRestore(request, call.signal);
      two = await runContainer(node, dir, { id: "two", labels: enabled, script: "echo 2 > b" });
      for (const { digest } of await node.chain(backup)) names.push(digest.slice("sha256:".length));
    }
    const [name = ""] = names;
    const key = snapshotKey(`${ownSnapshotPrefix}${name}`);
    {
      // As that version left them: one among the snapshots, one in the cache.
      await using backend = await openOverlaySnapshotter({ root: join(root, "snapshots") });
      const temporary = snapshotKey(`${key}/tmp-1`);
      await backend.prepare({ key: temporary, labels: {} }, call);
      await backend.commit({ name: key, key: temporary, labels: {} }, call);
      mkdirSync(join(root, "backup/layers", name, "fs"), { recursive: true });
    }
    const left = async (): Promise<readonly string[]> => {
      await using backend = await openOverlaySnapshotter({ root: join(root, "snapshots") });
      const infos = await Array.fromAsync(await backend.list({ filters: [] }, call));
      return [
        ...infos.filter((info) => info.name === key).map(() => "snapshot"),
        ...readdirSync(join(root, "backup/layers")).filter((each) => each === name),
      ];
    };
    {
      await using node = await startNode({ root });
      await node.backups.sweepLayers(-1000);
    }
    expect(await left()).toEqual(["snapshot", name]);
    {
      await using node = await startNode({ root });
      await removeContainer(node, two);
      await node.backups.settled(call.signal);
      await vi.waitUntil(async () => (await node.backups.sweepLayers(-1000)) > 0, 30_000);
    }
    expect(await left()).toEqual([]);
  },
);
