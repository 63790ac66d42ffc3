import { readFile } from "node:fs/promises";
import { globSync } from "node:fs";
import { listProcesses } from "@aeon/standalone";
import { namespace } from "./open-controller.ts";

/** Mounts (of loop devices too) and processes outside of main containers that a DinD container below a folder made. */
export async function traces(folder: string): Promise<readonly string[]> {
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  const processes = (await listProcesses()).filter(({ args }) => args.some((arg) => arg.includes(folder)));
  return [
    ...mounts.split("\n").filter((line) => line.includes(`${folder}/root`) || line.includes(`${folder}/s/`)),
    ...processes.map(({ args }) => args.join(" ")),
    ...globSync(`/sys/fs/cgroup/**/${namespace}/**/aeon-dind-*`),
  ];
}
