import { lchown, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { linux } from "@aeon/core";
import type { Owner } from "./daemon-files.ts";

/** Files by which processes and controllers are handed on; limits of the group itself stay the host's. */
const handedOn = new Set(["cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks"]);

/**
 * Lets the root of another user namespace make groups below the one that a process is in, in every hierarchy where the
 * runtime made it one of that name.
 */
export async function delegateCgroups(pid: number, name: string, { uid, gid }: Owner): Promise<void> {
  const groups = linux.controlGroupsIn(await readFile(`/proc/${pid}/cgroup`, "utf8"));
  for (const { mount, root, controllers } of linux.controlHierarchiesIn(
    await readFile("/proc/self/mountinfo", "utf8"),
  )) {
    const path = groups.find((group) => linux.hasControllers(controllers, group.controllers))?.path;
    if (root !== "/" || path === undefined || !path.endsWith(`/${name}`)) continue;
    const folder = join(mount, path);
    await lchown(folder, uid, gid);
    for (const file of await readdir(folder))
      if (handedOn.has(file)) await lchown(join(folder, file), uid, gid);
  }
}
