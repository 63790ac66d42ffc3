import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { linux } from "@aeon/core";
import { findCgroups, removeTrees } from "./cgroups.ts";

const looks = 40;
const lookMs = 50;

/** The name of a filter's group beside that of its main container. */
const filterGroup = (key: string): string => `aeon-filter-${key}`;

/**
 * Moves a filter into a group of its own beside its main container's: in the container's pod, which pays for it, and
 * outside of the group of the agent, whose container's end would end it too. Gives what did not go, for people.
 */
export const moveBeside = (
  pid: number,
  container: { readonly id: string; readonly pid: number },
  key: string,
): Promise<readonly string[]> =>
  linux.moveToControlGroups(pid, container.pid, (path) =>
    join(parentOf(path, container.id), filterGroup(key)),
  );

/** Removes the group of a filter that ends; a process takes a moment to be gone. */
export async function removeFilterGroup(key: string): Promise<void> {
  const groups = await findCgroups(filterGroup(key));
  for (let look = 0; look < looks && !(await removeTrees(groups)); look += 1) await sleep(lookMs);
}

/** The container's process may be in a group below the container's. */
function parentOf(path: string, id: string): string {
  const segments = path.split("/");
  const own = segments.findIndex((segment) => segment.includes(id));
  return own === -1 ? dirname(path) : segments.slice(0, own).join("/") || "/";
}
