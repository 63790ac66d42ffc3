import { readdir, readFile, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, linux } from "@aeon/core";

/**
 * Removes the cgroups of a DinD container that dockerd's containers left below it: the runtime removes only those that
 * are empty of children. `main`: path of its main container's too, which has ended; the runtime could not remove it
 * while there was one below.
 */
export async function removeCgroups(name: string, main?: string): Promise<void> {
  await removeTrees(await findCgroups(name));
  if (main !== undefined)
    for (const hierarchy of await hierarchies()) await removeGroup(join(hierarchy, main));
}

/** Folders of all cgroups of that name. */
export async function findCgroups(name: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const hierarchy of await hierarchies()) found.push(...(await find(hierarchy, name)));
  return found;
}

/** Removes cgroups and those below them. False when a process is left in one. */
export async function removeTrees(folders: readonly string[]): Promise<boolean> {
  let isAll = true;
  for (const folder of folders) isAll = (await removeTree(folder)) && isAll;
  return isAll;
}

const hierarchies = async (): Promise<readonly string[]> =>
  linux.controlHierarchiesIn(await readFile("/proc/self/mountinfo", "utf8")).map(({ mount }) => mount);

/** How deep a pod's cgroup lies below the root of a hierarchy, at most. */
const depth = 8;

async function find(folder: string, name: string, left = depth): Promise<readonly string[]> {
  if (left === 0) return [];
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found: string[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    const path = join(folder, entry.name);
    if (entry.name === name) found.push(path);
    else found.push(...(await find(path, name, left - 1)));
  }
  return found;
}

async function removeTree(folder: string): Promise<boolean> {
  let isAll = true;
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => []))
    if (entry.isDirectory()) isAll = (await removeTree(join(folder, entry.name))) && isAll;
  return (await removeGroup(folder)) && isAll;
}

/** False when there are processes or groups in it. */
async function removeGroup(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return true;
    if (errnoOf(error) === "EBUSY" || errnoOf(error) === "ENOTEMPTY") return false;
    throw error;
  }
}
