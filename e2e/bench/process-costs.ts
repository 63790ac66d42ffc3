import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { constants, setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** Clock ticks per second in /proc (`getconf CLK_TCK`), 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;
/** Looking more often takes a good part of the machine from what is measured, the more the larger its processes are. */
const sampleMs = 100;

/** User and system seconds of a process and of the children it has waited for. */
export async function cpuSeconds(pid: number): Promise<number> {
  const fields = await statFields(pid);
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks / ticksPerSecond;
}

/** The fields of /proc/PID/stat from the third on: the second, the program's name, may hold anything. */
async function statFields(pid: number): Promise<readonly string[]> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Samples the memory of a process tree until it is stopped. */
export interface MemoryWatch {
  /** The most that all processes had at one time, in bytes; memory they share is counted once. */
  stop(): Promise<number>;
}

export function watchMemory(root: number): MemoryWatch {
  let most = 0;
  const stopped = new AbortController();
  const sample = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      most = Math.max(most, await memoryOf(root));
      await sleep(sampleMs);
    }
  };
  const sampling = sample();
  return {
    async stop() {
      stopped.abort();
      await sampling;
      return most;
    },
  };
}

async function memoryOf(root: number): Promise<number> {
  const sizes = await Promise.all((await treeOf(root)).map(proportionalSize));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** A process and all below it; those that end meanwhile may be missing. */
async function treeOf(root: number): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).map(Number).filter((pid) => Number.isInteger(pid) && pid >= root);
  const parents = await Promise.all(
    pids.map(async (pid) => [pid, Number((await statFields(pid).catch(() => []))[1])] as const),
  );
  const tree = [root];
  for (const above of tree) for (const [pid, parent] of parents) if (parent === above) tree.push(pid);
  return tree;
}

/** Zero for a process that has ended. */
async function proportionalSize(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

/** What a piece of work took. */
export interface Costs {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Peak of all processes, bytes. */
  readonly memory: number;
}

/** Runs a shell script at the lowest priority, which is that of packing, with the costs of all its processes. */
export async function costsOfScript(script: string, cwd: string, lowPriority: boolean): Promise<Costs> {
  const before = await cpuSeconds(process.pid);
  const own = process.cpuUsage();
  const from = performance.now();
  const child = spawn("bash", ["-euo", "pipefail", "-c", script], {
    cwd,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (child.pid === undefined) throw new Error("bash cannot be started");
  if (lowPriority) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  const memory = watchMemory(child.pid);
  const [code] = (await once(child, "close")) as [number | null];
  const seconds = (performance.now() - from) / 1000;
  const peak = await memory.stop();
  if (code !== 0) throw new Error(`${script} ended with ${code}`);
  const { user, system } = process.cpuUsage(own);
  return {
    seconds,
    cpuSeconds: (await cpuSeconds(process.pid)) - before - (user + system) / 1e6,
    memory: peak,
  };
}

/** The costs of work that an agent does with its children; those must have ended when `work` resolves. */
export async function costsOfAgent(pid: number, work: () => Promise<void>): Promise<Costs> {
  const before = await cpuSeconds(pid);
  const memory = watchMemory(pid);
  const from = performance.now();
  try {
    await work();
  } catch (error) {
    await memory.stop();
    throw error;
  }
  const seconds = (performance.now() - from) / 1000;
  return { seconds, cpuSeconds: (await cpuSeconds(pid)) - before, memory: await memory.stop() };
}
