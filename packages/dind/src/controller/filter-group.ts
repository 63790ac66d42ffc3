import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf, errorMessage } from "@aeon/core";
import { removeCgroups } from "./cgroups.ts";
import { groupsIn, hierarchiesIn, isSame } from "./hierarchies.ts";

const looks = 40;
const lookMs = 50;

/** The name of a filter's group beside that of its main container. */
export const filterGroup = (key: string): string => `aeon-filter-${key}`;

/**
 * Moves a process into a group of its own beside a container's: in the container's pod, which pays for it, and outside
 * of the group of the agent, whose container's end would end it too. Gives what did not go, for people.
 */
export async function moveBeside(
  pid: number,
  container: { readonly id: string; readonly pid: number },
  name: string,
): Promise<readonly string[]> {
  const faults: string[] = [];
  const mounted = hierarchiesIn(await readFile("/proc/self/mountinfo", "utf8"));
  for (const { controllers, path } of groupsIn(await readFile(`/proc/${container.pid}/cgroup`, "utf8"))) {
    const hierarchy = mounted.find((each) => isSame(each.controllers, controllers));
    if (hierarchy === undefined) continue;
    const parent = relative(hierarchy.root, parentOf(path, container.id));
    const group = join(hierarchy.mount, parent, name);
    try {
      if (parent.startsWith("..")) throw new Error(`${hierarchy.mount} does not show it`);
      await makeGroup(group, controllers);
      await writeFile(join(group, "cgroup.procs"), String(pid));
    } catch (error) {
      faults.push(`${group}: ${errorMessage(error)}`);
    }
  }
  return faults;
}

/** Removes the group of a filter that ends; a process takes a moment to be gone. */
export async function removeFilterGroup(key: string): Promise<void> {
  for (let look = 0; look < looks && !(await removeCgroups(filterGroup(key))); look += 1) await sleep(lookMs);
}

/** The container's process may be in a group below the container's. */
function parentOf(path: string, id: string): string {
  const segments = path.split("/");
  const own = segments.findIndex((segment) => segment.includes(id));
  return own === -1 ? dirname(path) : segments.slice(0, own).join("/") || "/";
}

async function makeGroup(group: string, controllers: readonly string[]): Promise<void> {
  try {
    await mkdir(group);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
  if (!controllers.includes("cpuset")) return;
  // Under cgroup v1 a new group has no processor, and then takes no process.
  for (const file of ["cpuset.cpus", "cpuset.mems"])
    await writeFile(join(group, file), await readFile(join(dirname(group), file)));
}
