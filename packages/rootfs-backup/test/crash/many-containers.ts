// One life of a node on which containers come and go: see world.ts for what it is told and tells.
import { readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { containerId, isAeonError, silentLogger, snapshotKey, type SnapshotKey } from "@aeon/core";
import { describeTree, difference, seeded } from "@aeon/testkit";
import { steps, type StepReached } from "../../src/capture/steps.ts";
import { enabledLabel, type Backup } from "../../src/index.ts";
import { call, Containers, mountAt, space, startNode } from "../node.ts";
import type { Known, Task, Told } from "./world.ts";

const lanes = 2;
const mostLive = 6;
/** Backups whose files are compared at the end; of all others it is checked that they are there. */
const mostChecked = 12;
const settleMs = 5000;
const sweepGraceMs = 3000;

const task = JSON.parse(await text(process.stdin)) as Task;
const random = seeded(task.seed);
const below = (limit: number): number => Math.floor(random() * limit);
const pick = <T>(values: readonly T[]): T | undefined => values[below(values.length)];
// Synchronous, so that what was told before a kill is not lost with it.
const tell = (told: Told): void => void writeSync(1, `${JSON.stringify(told)}\n`);

let times = 0;
steps.subscribe((message) => {
  const { step } = message as StepReached;
  tell({ reached: step });
  if (step === task.kill?.step && (times += 1) === task.kill.time) process.kill(process.pid, "SIGKILL");
});

const world = new Map<string, Known>(task.containers.map((known) => [known.id, known]));
const busy = new Set<string>();
const containers = new Containers();
const labelsOf = ({ pod }: Known): Record<string, string> => ({
  [enabledLabel]: "true",
  ...(pod !== undefined && {
    "io.kubernetes.pod.name": pod,
    "io.kubernetes.pod.namespace": "space",
    "io.kubernetes.pod.uid": `uid-${pod}`,
    "io.kubernetes.container.name": "main",
  }),
});
for (const known of world.values()) if (known.state !== "removed") containers.add(known.id, labelsOf(known));
const complain = (fields: object, message: string): void => console.error(message, JSON.stringify(fields));
await using node = await startNode({
  root: join(task.root, "node"),
  containers,
  log: { ...silentLogger, warn: complain, error: complain },
  workerCommand: [process.execPath, task.worker],
});
tell({ ready: true });

const keyOf = ({ id, number }: Known): SnapshotKey => snapshotKey(`default/${number}/${id}`);
const treeFile = (id: string): string => join(task.root, "trees", `${id}.json`);
const knownTree = (id: string): Map<string, string> =>
  new Map(JSON.parse(readFileSync(treeFile(id), "utf8")) as [string, string][]);

function note(known: Known, state: Known["state"]): void {
  known.state = state;
  tell({ container: known });
}

async function exists(known: Known): Promise<boolean> {
  try {
    await node.snapshotter.stat({ key: keyOf(known) }, call);
    return true;
  } catch (error) {
    if (isAeonError(error, "not-found")) return false;
    throw error;
  }
}

const backupsOf = async ({ id }: Known): Promise<readonly Backup[]> =>
  (await node.backups.list(call.signal)).filter((backup) => backup.containerId === id);

/** What the last life left unsaid. */
async function recover(): Promise<void> {
  for (const known of world.values()) {
    if (known.state === "removed") continue;
    if (await exists(known)) {
      if (known.state === "making") note(known, "made");
      continue;
    }
    if (known.state === "making") world.delete(known.id);
    else if (known.state !== "final") tell({ problem: `${known.id} is gone and nobody removed it` });
    else note(known, "removed");
  }
}

async function make(lane: number, more: Pick<Known, "pod" | "from">): Promise<Known | undefined> {
  const number = task.life * 1000 + world.size;
  const known: Known = { id: `c${task.life}-${number}-${lane}`, number, state: "making", ...more };
  busy.add(known.id);
  world.set(known.id, known);
  note(known, "making");
  containers.add(known.id, labelsOf(known));
  const source = known.from === undefined ? undefined : world.get(known.from);
  if (source !== undefined && known.pod === undefined) {
    const [backup] = await backupsOf(source);
    if (backup === undefined) {
      tell({ problem: `${source.id} has no backup to restore` });
      return undefined;
    }
    const request = { backupId: backup.id, namespace: space, containerId: containerId(known.id) };
    await node.backups.requestRestore(request, call.signal);
  }
  await node.snapshotter.prepare({ key: keyOf(known), labels: {} }, call);
  note(known, "made");
  busy.delete(known.id);
  return known;
}

/** A container of a pod that ends and is replaced before it is removed. */
async function restart(lane: number): Promise<void> {
  const pod = `r${task.life}-${below(1e9)}`;
  const first = await make(lane, { pod });
  if (first === undefined) return;
  await using(first, async () => {
    await run(first, lane, true);
    const second = await make(lane, { pod, from: first.id });
    if (second !== undefined) await using(second, () => run(second, lane, false));
  });
}

/** Starts a container, looks at its files and changes some. */
async function run(known: Known, lane: number, isLast: boolean): Promise<void> {
  const target = join(task.root, `mount-${lane}`);
  const mounts = await node.snapshotter.mounts({ key: keyOf(known) }, call);
  await using _ = await mountAt(target, mounts);
  if (known.state === "made") {
    const found =
      known.from === undefined ? undefined : difference(knownTree(known.from), await describeTree(target));
    if (found !== undefined && found.length > 0)
      tell({ problem: `${known.id} started with other files than ${known.from} left: ${found.join("; ")}` });
    note(known, "based");
  }
  const files = 1 + below(8);
  for (let file = 0; file < files; file += 1) {
    const path = join(target, `${known.id}-${below(1000)}`);
    writeFileSync(path, `${known.id} ${"x".repeat(below(20_000))}`, { flag: "a" });
  }
  if (!isLast) return;
  writeFileSync(treeFile(known.id), JSON.stringify([...(await describeTree(target))]));
  note(known, "final");
}

async function remove(known: Known): Promise<void> {
  try {
    await node.snapshotter.remove({ key: keyOf(known) }, call);
  } catch (error) {
    // Not safe yet: containerd asks again later.
    if (isAeonError(error, "failed-precondition")) return;
    throw error;
  }
  note(known, "removed");
  containers.delete(known.id);
}

/** Chooses one operation; all containers it relies on are kept from the other lane meanwhile. */
async function operate(lane: number): Promise<void> {
  const free = [...world.values()].filter(({ id }) => !busy.has(id));
  const live = free.filter(({ state }) => state === "made" || state === "based");
  const final = free.filter(({ state }) => state === "final");
  const kept = free.filter(({ state, backup }) => state === "removed" && backup === undefined);
  const replaced = new Set(
    [...world.values()].flatMap(({ pod, from }) => (pod === undefined ? [] : (from ?? []))),
  );
  const dice = random();
  if (random() < (task.kill?.step === "settled" ? 0.5 : 0.05)) return restart(lane);
  // With no grace at all a layer could go between being unpacked and being bound; the start would be refused.
  if (dice < 0.05) return void (await node.backups.sweepLayers(sweepGraceMs));
  if (dice < 0.1) return using(pick(kept.filter(({ id }) => !isWanted(id))), deleteBackup);
  if (dice < 0.3 && final.length > 0) return using(pick(final), remove);
  if (dice < 0.5 || live.length + final.length >= mostLive)
    return using(pick(live), async (known) => {
      await run(known, lane, true);
      if (random() < 0.7) await remove(known);
    });
  if (dice < 0.6) return using(pick(live), (known) => run(known, lane, false));
  if (dice < 0.75)
    return void (await make(lane, random() < 0.4 ? { pod: `p${task.life}-${below(1e9)}` } : {}));
  const predecessors = final.filter(({ id, pod }) => pod !== undefined && !replaced.has(id));
  if (dice < 0.87)
    return using(pick(predecessors), ({ id, pod }) =>
      make(lane, { ...(pod !== undefined && { pod }), from: id }),
    );
  return using(pick(kept), ({ id }) => make(lane, { from: id }));
}

/** Keeps the container from the other lane while it is worked on. */
async function using(known: Known | undefined, work: (known: Known) => Promise<unknown>): Promise<void> {
  if (known === undefined) return;
  busy.add(known.id);
  await work(known);
  busy.delete(known.id);
}

/** True while a container has not got the files of that one yet. */
const isWanted = (id: string): boolean =>
  [...world.values()].some(({ from, state }) => from === id && (state === "making" || state === "made"));

async function deleteBackup(known: Known): Promise<void> {
  const [backup] = await backupsOf(known);
  if (backup?.state !== "stored") return;
  known.backup = "deleting";
  tell({ container: known });
  try {
    await node.backups.remove(backup.id, call.signal);
  } catch (error) {
    // A refusal because a container runs on it changes nothing.
    if (isAeonError(error, "BACKUP_IN_USE")) {
      delete known.backup;
      tell({ container: known });
      return;
    }
    // Its files may still be under a container.
    if (!isAeonError(error, "unavailable")) throw error;
    return;
  }
  known.backup = "deleted";
  tell({ container: known });
}

/** Ends all containers and restores every backup. */
async function check(): Promise<void> {
  for (const known of world.values())
    if (known.state === "made" || known.state === "based") await run(known, 0, true);
  // Those that were replaced go after those that stand on their files.
  for (const known of [...world.values()].toReversed()) if (known.state === "final") await remove(known);
  await node.backups.settled(call.signal);
  let checked = 0;
  const sample = new Set([...world.keys()].toSorted(() => random() - 0.5).slice(0, mostChecked));
  for (const known of world.values()) {
    if (known.state !== "removed") {
      tell({ problem: `${known.id} cannot be removed` });
      continue;
    }
    const [backup, ...more] = await backupsOf(known);
    if (more.length > 0) tell({ problem: `${known.id} has ${more.length + 1} backups` });
    if (backup === undefined) {
      if (known.backup === undefined) tell({ problem: `the backup of ${known.id} is lost` });
      continue;
    }
    if (known.backup === "deleted") tell({ problem: `the backup of ${known.id} was deleted and is there` });
    if (backup.state !== "stored") tell({ problem: `the backup of ${known.id} is ${backup.state}` });
    if (!sample.has(known.id)) continue;
    const id = `v-${known.id}`;
    containers.add(id, {});
    const request = { backupId: backup.id, namespace: space, containerId: containerId(id) };
    await node.backups.requestRestore(request, call.signal);
    const key = snapshotKey(`default/${900_000 + checked}/${id}`);
    await node.snapshotter.prepare({ key, labels: {} }, call);
    {
      await using _ = await mountAt(join(task.root, "mount-0"), await node.snapshotter.mounts({ key }, call));
      const found = difference(knownTree(known.id), await describeTree(join(task.root, "mount-0")));
      if (found.length > 0)
        tell({ problem: `the backup of ${known.id} has other files: ${found.join("; ")}` });
    }
    checked += 1;
  }
  tell({ checked });
}

// Nothing else keeps a process alive that waits for a retry.
const alive = setInterval(() => {}, 1000);
await recover();
if (task.operations === "check") await check();
else {
  const each = Math.ceil(task.operations / lanes);
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      for (let count = 0; count < each; count += 1) await operate(lane);
    }),
  );
  // Packing starts a moment after the removal; a life that is to die in it waits for that.
  if (task.kill !== undefined)
    await node.backups.settled(AbortSignal.timeout(settleMs)).catch((error: unknown) => {
      if (!(error instanceof Error && error.name === "AbortError")) throw error;
    });
}
clearInterval(alive);
