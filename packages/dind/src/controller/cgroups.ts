import { readdir, readFile, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "@aeon/core";

/**
 * Removes the cgroups of a DinD container that dockerd's containers left below it: the runtime removes only those that
 * are empty of children. `main`: path of its main container's too, which has ended; the runtime could not remove it
 * while there was one below. False when a process is left in one.
 */
export async function removeCgroups(name: string, main?: string): Promise<boolean> {
  let isAll = true;
  for (const hierarchy of await hierarchies()) {
    for (const folder of await find(hierarchy, name)) isAll = (await removeTree(folder)) && isAll;
    if (main !== undefined) await removeGroup(join(hierarchy, main));
  }
  return isAll;
}

async function hierarchies(): Promise<readonly string[]> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  return mounts.split("\n").flatMap((line) => {
    const [, path, type] = line.split(" ");
    return path !== undefined && (type === "cgroup" || type === "cgroup2") ? [path] : [];
  });
}

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
