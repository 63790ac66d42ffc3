import { readdir, readFile, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "@aeon/core";

/**
 * Removes the cgroups of a DinD container that dockerd's containers left below it: the runtime removes only those that
 * are empty of children. False when a process is left in one.
 */
export async function removeCgroups(name: string): Promise<boolean> {
  let isAll = true;
  for (const hierarchy of await hierarchies())
    for (const folder of await find(hierarchy, name)) isAll = (await removeTree(folder)) && isAll;
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
  try {
    await rmdir(folder);
    return isAll;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return isAll;
    if (errnoOf(error) === "EBUSY") return false;
    throw error;
  }
}
