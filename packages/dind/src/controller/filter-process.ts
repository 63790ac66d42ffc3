import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errors } from "../errors.ts";
import { readyLine, type FilterConfig } from "../filter/filter-config.ts";
import type { MainSocket } from "../mounts/main-socket.ts";
import { replace } from "./daemon-files.ts";
import { startTimeOf } from "./main-process.ts";
import type { Places } from "./places.ts";

/** Milliseconds until a new filter has to serve. */
const readyMs = 20_000;

/** Of Node, for filters: V8's middle compiler makes 2 MB of it resident and does little for a proxy. */
export const filterFlags: readonly string[] = ["--no-maglev"];

/** Program of the filter: beside the agent in a bundle, or the source. */
export function filterCommand(): readonly string[] {
  const bundled = join(import.meta.dirname, "dind-filter.cjs");
  if (existsSync(bundled)) return [process.execPath, ...filterFlags, bundled];
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const source = join(dirname(import.meta.dirname), "filter", `main.${extension}`);
  return [process.execPath, ...(extension === "ts" ? ["--conditions=@aeon/source"] : []), source];
}

export interface FilterProcessOptions {
  readonly places: Places;
  readonly config: FilterConfig;
  readonly sockets: readonly MainSocket[];
  readonly command?: readonly string[] | undefined;
}

/** Starts the filter of one DinD container with the sockets it serves; it outlives this process. Gives its pid. */
export async function startFilter({
  places,
  config,
  sockets,
  command = filterCommand(),
}: FilterProcessOptions): Promise<number> {
  await mkdir(places.filterState, { recursive: true, mode: 0o700 });
  const listeners = sockets.map((_, index) => 3 + index);
  await replace(places.filterConfig, JSON.stringify({ ...config, listeners }));
  const log = openSync(places.filterLog, "a", 0o600);
  const [program = process.execPath, ...args] = command;
  const child = spawn(program, [...args, places.filterConfig], {
    detached: true,
    stdio: ["ignore", "pipe", log, ...sockets.map(({ fd }) => fd)],
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  closeSync(log);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error(`not ready after ${readyMs} ms`)), readyMs);
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`ended with ${signal ?? code}`)));
    let said = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said.split("\n").includes(readyLine)) resolve();
    });
    await promise.finally(() => clearTimeout(timer));
  } catch (cause) {
    child.kill("SIGKILL");
    throw errors.DIND_FILTER_FAILED(`the filter did not start (see ${places.filterLog}): ${String(cause)}`, {
      cause,
    });
  }
  child.stdout?.destroy();
  child.unref();
  return child.pid ?? 0;
}

/**
 * Ends the filters of a configuration file that do not answer, such as one that an agent started before it was killed:
 * it would come up later, on sockets that are nobody's.
 */
export async function killFilters(config: string): Promise<void> {
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const args = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (!args.split("\0").includes(config)) continue;
    const pid = Number(name);
    const startTime = startTimeOf(pid);
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      continue;
    }
    for (let now = startTime; now !== undefined && now === startTime; now = startTimeOf(pid)) await sleep(5);
  }
}
