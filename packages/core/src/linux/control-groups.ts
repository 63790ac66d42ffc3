import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { errorMessage } from "../error.ts";
import { errnoOf } from "../error-codes.ts";
import { controlGroupsIn, controlHierarchiesIn, hasControllers } from "./control-hierarchies.ts";

/**
 * Moves a process, in every hierarchy that is mounted, to the group that `groupOf` names for the group of the process
 * `of`; it is made below a parent that is there. Gives what did not go, for people.
 */
export async function moveToControlGroups(
  pid: number,
  of: number,
  groupOf: (path: string) => string,
): Promise<readonly string[]> {
  const faults: string[] = [];
  const mounted = controlHierarchiesIn(await readFile("/proc/self/mountinfo", "utf8"));
  for (const { controllers, path } of controlGroupsIn(await readFile(`/proc/${of}/cgroup`, "utf8"))) {
    // In a container that has the host's hierarchies, those that the runtime mounted first are below them.
    const hierarchy = mounted.findLast((each) => hasControllers(each.controllers, controllers));
    if (hierarchy === undefined) continue;
    const inside = relative(hierarchy.root, groupOf(path));
    const group = join(hierarchy.mount, inside);
    try {
      if (inside.startsWith("..")) throw new Error(`${hierarchy.mount} does not show it`);
      await makeGroup(group, controllers);
      await writeFile(join(group, "cgroup.procs"), String(pid));
    } catch (error) {
      faults.push(`${group}: ${errorMessage(error)}`);
    }
  }
  return faults;
}

/** Removes a group in every hierarchy, unless a process or another group is in it. */
export async function removeControlGroups(path: string): Promise<void> {
  for (const { mount, root } of controlHierarchiesIn(await readFile("/proc/self/mountinfo", "utf8")))
    try {
      const inside = relative(root, path);
      if (!inside.startsWith("..")) await rmdir(join(mount, inside));
    } catch (error) {
      if (!["ENOENT", "EBUSY", "EROFS"].includes(errnoOf(error) ?? "")) throw error;
    }
}

async function makeGroup(group: string, controllers: readonly string[]): Promise<void> {
  try {
    await mkdir(group);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
  if (!controllers.includes("cpuset")) return;
  // Under cgroup v1 a new group has no processor, and then takes no process.
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const own = await readFile(join(group, file), "utf8");
    if (own.trim() === "") await writeFile(join(group, file), await readFile(join(dirname(group), file)));
  }
}
