import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { BackupId } from "@aeon/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { steps, type StepReached } from "../src/capture/steps.ts";
import { layerFiles, type Backup, type PhaseChange } from "../src/index.ts";
import { removeContainer, runContainer, type Ran } from "./containers.ts";
import { call, startNode, type TestNode } from "./node.ts";
import { scratch, type Scratch } from "./scratch.ts";
import { smallDisk } from "./small-disk.ts";

const within = { timeout: 60_000, interval: 50 };
const script = "mkdir d; seq 1 3000 > d/numbers; head -c 3000000 /dev/urandom > random";

let dir: Scratch;
let reached: string[];
const note = (message: unknown): void => void reached.push((message as StepReached).step);
beforeEach(() => {
  dir = scratch();
  reached = [];
  steps.subscribe(note);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  steps.unsubscribe(note);
  dir[Symbol.dispose]();
});

const times = (step: string): number => reached.filter((each) => each === step).length;
const start = (config: object = {}) =>
  startNode({ root: dir.at("node"), config: { store: { path: dir.at("store") }, ...config } });
const backupOf = async (node: TestNode, { key }: Ran): Promise<Backup> => {
  const found = (await node.backups.list(call.signal)).find(({ snapshotKey }) => snapshotKey === key);
  if (found === undefined) throw new Error("there is no backup");
  return found;
};
const until = (node: TestNode, ran: Ran, state: Backup["state"]) =>
  vi.waitUntil(async () => (await backupOf(node, ran)).state === state, within);
/** The store cannot be reached until what this gives is called. */
function takeStoreAway(): () => void {
  renameSync(dir.at("store"), dir.at("elsewhere"));
  return () => renameSync(dir.at("elsewhere"), dir.at("store"));
}
const archiveOf = (id: BackupId) => layerFiles(dir.at("node/backup/staging", id, "layer"));

async function ranWithStore(node: TestNode, id: string): Promise<Ran> {
  await removeContainer(node, await runContainer(node, dir, { id: `first-${id}`, script: "echo 1 > a" }));
  await node.backups.settled(call.signal);
  reached.length = 0;
  return runContainer(node, dir, { id, script });
}

test("what is packed while the store is away is uploaded by a later process, not packed again", async () => {
  let ran: Ran;
  let giveBack: () => void;
  let archive: Buffer;
  {
    await using node = await start();
    ran = await ranWithStore(node, "a");
    giveBack = takeStoreAway();
    await node.snapshotter.remove({ key: ran.key }, call);
    await until(node, ran, "failed");
    const { id, nextAttemptAt, failure } = await backupOf(node, ran);
    expect(failure).toContain("store");
    expect(nextAttemptAt).toBeGreaterThan(0n);
    archive = readFileSync(archiveOf(id).layer);
    expect(times("packed")).toBe(1);
  }
  giveBack();
  reached.length = 0;
  await using node = await start();
  await until(node, ran, "stored");
  expect(reached.filter((step) => step !== "discarded")).toEqual([
    "layer-stored",
    "uploaded",
    "verified",
    "backup-named",
    "ref-stored",
    "head-moved",
    "backup-stored",
    "recorded",
  ]);
  await node.backups.settled(call.signal);
  const { id } = await backupOf(node, ran);
  const [layer] = await node.chain(id);
  const blob = dir.at("store/t/default/blobs/sha256", layer?.digest.slice(7) ?? "");
  expect(readFileSync(blob).equals(archive)).toBe(true);
  expect(readdirSync(dir.at("node/backup/staging"))).toEqual([]);
});

test.for([
  ["a flipped bit", (path: string) => writeFileSync(path, flipped(readFileSync(path)))],
  ["a lost end", (path: string) => writeFileSync(path, readFileSync(path).subarray(0, -1))],
  ["a lost file", (path: string) => renameSync(path, `${path}.gone`)],
] as const)("an archive with %s is packed again", async ([, damage]) => {
  let ran: Ran;
  let giveBack: () => void;
  {
    await using node = await start();
    ran = await ranWithStore(node, "a");
    giveBack = takeStoreAway();
    await node.snapshotter.remove({ key: ran.key }, call);
    await until(node, ran, "failed");
    damage(archiveOf((await backupOf(node, ran)).id).layer);
  }
  giveBack();
  await using node = await start();
  await until(node, ran, "stored");
  expect(times("packed")).toBe(2);
  expect((await node.chain((await backupOf(node, ran)).id)).map(({ entries }) => entries)).toEqual([4]);
});

function flipped(bytes: Buffer): Buffer {
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  return bytes;
}

test("every edge from removal to store is told, with the bytes of each phase", async () => {
  await using disk = await smallDisk(dir, "disk", { megabytes: 32 });
  await using node = await start({ store: { path: disk.path }, "upload-bandwidth": "1MiB" });
  const ran = await runContainer(node, dir, { id: "a", script });
  const stop = new AbortController();
  const changes: PhaseChange[] = [];
  const following = (async () => {
    for await (const change of node.backups.phaseChanges(stop.signal)) changes.push(change);
  })().catch(() => {});
  reached.length = 0;
  await node.snapshotter.remove({ key: ran.key }, call);
  const { id } = await backupOf(node, ran);
  const seen: Backup[] = [];
  for await (const backup of node.backups.watch(id, call.signal)) seen.push(backup);
  // Nobody who needs the backup waits for the end of its staged copy.
  expect(reached).toContain("recorded");
  expect(reached).not.toContain("discarded");
  stop.abort();
  await following;
  const edges = changes.filter(({ subject }) => subject === id);
  expect(edges.map(({ from, to }) => `${from}>${to}`)).toEqual([
    "undefined>capturing",
    "capturing>staged",
    "staged>packing",
    "packing>uploading",
    "uploading>verifying",
    "verifying>stored",
  ]);
  const upload = edges.find(({ to }) => to === "uploading")?.at ?? 0n;
  const uploaded = edges.find(({ to }) => to === "verifying")?.at ?? 0n;
  const { size = 0n } = seen.at(-1) ?? {};
  const seconds = Number(uploaded - upload) / 1e9;
  // 3 MB at 1 MiB a second, less the first moment's.
  expect(seconds).toBeGreaterThan(Number(size) / 2 ** 20 - 0.4);
  expect(seconds).toBeLessThan(Number(size) / 2 ** 20 + 3);
  const progress = seen.flatMap((backup) => (backup.state === "uploading" ? (backup.progress ?? []) : []));
  expect(progress.length).toBeGreaterThan(3);
  expect(progress.every(({ done, total = 0 }) => done <= total && total >= Number(size))).toBe(true);
  expect(progress.map(({ done }) => done)).toEqual(
    progress.map(({ done }) => done).toSorted((a, b) => a - b),
  );
});

test("a container that changed nothing is skipped, and that is told", async () => {
  await using node = await start();
  const stop = new AbortController();
  const changes = node.backups.phaseChanges(stop.signal)[Symbol.asyncIterator]();
  const next = changes.next();
  const ran = await runContainer(node, dir, { id: "a", script: "true" });
  await node.snapshotter.remove({ key: ran.key }, call);
  expect((await next).value).toMatchObject({ subject: ran.key, to: "skipped" });
  stop.abort();
});

test("through an hour without a store nothing is packed again, and the tries grow rare", async () => {
  await using node = await start();
  const ran = await ranWithStore(node, "a");
  const giveBack = takeStoreAway();
  const stop = new AbortController();
  const changes = node.backups.phaseChanges(stop.signal)[Symbol.asyncIterator]();
  /** The next edge to one of these. */
  const next = async (...phases: readonly string[]): Promise<PhaseChange> => {
    for (;;) {
      const { value, done } = await changes.next();
      if (done === true) throw new Error("the queue tells no more");
      if (phases.includes(value.to)) return value;
    }
  };
  // From here on time only passes when it is told to; a try that is under way is waited for.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  const startedAt = Date.now();
  const first = next("failed");
  await node.snapshotter.remove({ key: ran.key }, call);
  await vi.advanceTimersByTimeAsync(200);
  const failures = [await first];
  while (Date.now() - startedAt < 3_600_000) {
    const { at, nextAttemptAt = 0n } = failures.at(-1) ?? { at: 0n };
    expect(nextAttemptAt).toBeGreaterThan(at);
    expect(nextAttemptAt - at).toBeLessThanOrEqual(600_000_000_000n);
    const failed = next("failed");
    await vi.advanceTimersByTimeAsync(Number((nextAttemptAt - at) / 1_000_000n) + 2);
    failures.push(await failed);
  }
  expect(times("packed")).toBe(1);
  expect(failures.length).toBeGreaterThan(8);
  expect(failures.length).toBeLessThan(25);
  giveBack();
  const stored = next("stored");
  await vi.advanceTimersByTimeAsync(600_100);
  await stored;
  expect(times("packed")).toBe(1);
  stop.abort();
});

test("the oldest is uploaded first, and one at a time where only one is allowed", async () => {
  const ran: Ran[] = [];
  let giveBack: () => void;
  {
    await using node = await start();
    await ranWithStore(node, "first");
    giveBack = takeStoreAway();
    for (const id of ["a", "b", "c"])
      ran.push(await runContainer(node, dir, { id, script: `echo ${id} > a` }));
    for (const { key } of ran) await node.snapshotter.remove({ key }, call);
    for (const each of ran) await until(node, each, "failed");
  }
  giveBack();
  const order: string[] = [];
  const follow = (message: unknown): void => {
    const { step, subject } = message as StepReached;
    if (step === "layer-stored" || step === "recorded") order.push(`${step} ${subject}`);
  };
  steps.subscribe(follow);
  try {
    // All of them are due again.
    const now = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => now() + 86_400_000);
    await using node = await start({ "upload-concurrency": 1 });
    for (const each of ran) await until(node, each, "stored");
    const ids = await Promise.all(ran.map(async (each) => (await backupOf(node, each)).id));
    expect(order).toEqual(ids.flatMap((id) => [`layer-stored ${id}`, `recorded ${id}`]));
  } finally {
    steps.unsubscribe(follow);
  }
});

test.each([1, 2])("as many layers are packed at the same time as are allowed: %i", async (concurrency) => {
  await using node = await start({ concurrency });
  const ran: Ran[] = [];
  for (const id of ["a", "b", "c", "d"]) ran.push(await runContainer(node, dir, { id, script }));
  const stop = new AbortController();
  const packing = new Set<string>();
  let most = 0;
  const following = (async () => {
    for await (const { subject, to } of node.backups.phaseChanges(stop.signal)) {
      if (to === "packing") packing.add(subject);
      else packing.delete(subject);
      most = Math.max(most, packing.size);
    }
  })().catch(() => {});
  for (const { key } of ran) await node.snapshotter.remove({ key }, call);
  for (const each of ran) await until(node, each, "stored");
  stop.abort();
  await following;
  expect(most).toBe(concurrency);
});
