// One life of a node: removes a container, stores its backup, restores it into the next one. Killed on the way by
// SIGKILL at a step, it is started again and has to go on. Usage: one-restore.ts ROOT WHEN WORKER, where
// WHEN is a step's name or "never". Prints the mounts of the next container.
import { containerId, isAeonError, snapshotKey } from "@aeon/core";
import { enabledLabel } from "../../src/index.ts";
import { steps, type StepReached } from "../../src/capture/steps.ts";
import { call, Containers, space, startNode } from "../node.ts";

const [root = "", when = "never", worker = ""] = process.argv.slice(2);
const die = () => process.kill(process.pid, "SIGKILL");
steps.subscribe((message) => {
  const { step } = message as StepReached;
  if (step === when) die();
});

const key = snapshotKey("default/1/first");
const next = snapshotKey("default/2/next");
const containers = new Containers();
containers.add("first", { [enabledLabel]: "true" });
containers.add("next", { [enabledLabel]: "true" });
await using node = await startNode({ root, containers, workerCommand: [process.execPath, worker] });

async function exists(name: typeof key): Promise<boolean> {
  try {
    await node.snapshotter.stat({ key: name }, call);
    return true;
  } catch (error) {
    if (isAeonError(error, "not-found")) return false;
    throw error;
  }
}

if (await exists(key)) await node.snapshotter.remove({ key }, call);
const backups = await node.backups.list(call.signal);
const [backup] = backups;
if (backup === undefined || backups.length !== 1) throw new Error(`${backups.length} backups, expected one`);
for await (const { state, failure } of node.backups.watch(backup.id, call.signal))
  if (state === "failed") throw new Error(failure);
const request = { backupId: backup.id, namespace: space, containerId: containerId("next") };
if ((await node.backups.restores(call.signal)).length === 0)
  await node.backups.requestRestore(request, call.signal);
if (!(await exists(next))) await node.snapshotter.prepare({ key: next, labels: {} }, call);
const mounts = await node.snapshotter.mounts({ key: next }, call);
// The staged copy goes after the backup is stored; a complete life ends with it gone.
await node.backups.settled(call.signal);
process.stdout.write(JSON.stringify(mounts));
