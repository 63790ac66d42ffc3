import { readFileSync } from "node:fs";

/**
 * Ids of containers that a process may be in, by the names of its control groups: the runtime names a group after
 * the container, with `.scope` and a prefix under systemd. Empty when the process is gone or out of sight.
 */
export function containerIdsOf(pid: number): readonly string[] {
  if (pid <= 0) return [];
  try {
    return idsInCgroups(readFileSync(`/proc/${pid}/cgroup`, "latin1"));
  } catch {
    return [];
  }
}

/** The same from the text of `/proc/PID/cgroup`. */
export function idsInCgroups(text: string): readonly string[] {
  const segments = text
    .split("\n")
    .flatMap((line) => line.slice(line.indexOf(":", line.indexOf(":") + 1) + 1).split("/"))
    .filter((segment) => segment !== "");
  return [
    ...new Set(
      segments.map((segment) => segment.replace(/\.scope$/, "").replace(/^.*[:-](?=[0-9a-f]{64}$)/, "")),
    ),
  ];
}
