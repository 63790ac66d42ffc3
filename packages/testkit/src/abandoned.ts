import { readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanFolder, listProcesses, signalProcess, unmountBelow } from "@aeon/standalone";

/** Start of a temporary folder's name, which tells its owner: `aeon-NAME-PID-`, the pid in base 36. */
export const folderPrefix = (name: string): string => `aeon-${name}-${process.pid.toString(36)}-`;

const ownerOf = (name: string): number | undefined => {
  const pid = /^aeon-[a-z0-9]+-([0-9a-z]+)-[A-Za-z0-9]{6}$/.exec(name)?.[1];
  return pid === undefined ? undefined : Number.parseInt(pid, 36);
};

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

let swept: Promise<void> | undefined;

/**
 * Ends and removes, once per process, what test processes left that were killed before they could: their containerds
 * with all containers (runc keeps the state of these machine-wide, where the next container of the same name would
 * find it), their other processes, mounts and folders.
 */
export const sweepAbandoned = (runc: string): Promise<void> => (swept ??= sweep(runc));

async function sweep(runc: string): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = ownerOf(name);
    if (owner === undefined || isAlive(owner)) continue;
    const path = join(tmpdir(), name);
    await cleanFolder(join(path, "c"), runc);
    for (const { pid, args } of await listProcesses())
      if (args.some((arg) => arg.includes(path))) signalProcess(pid, "SIGKILL");
    await unmountBelow(path);
    await rm(path, { recursive: true, force: true });
  }
}
