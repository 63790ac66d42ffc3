import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** A process as /proc shows it. */
export interface ProcessInfo {
  readonly pid: number;
  readonly args: readonly string[];
}

/** Every process whose command line can be read and is not empty; kernel threads and zombies have none. */
export async function listProcesses(): Promise<readonly ProcessInfo[]> {
  const pids = (await readdir("/proc")).map(Number).filter((pid) => Number.isInteger(pid));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return { pid, args: text.split("\0").slice(0, -1) };
    }),
  );
  return found.filter(({ args }) => args.length > 0);
}

/** True when `args` holds `flag` directly followed by `value`. */
export const hasFlag = (args: readonly string[], flag: string, value: string): boolean =>
  args.some((arg, index) => arg === flag && args[index + 1] === value);

/** Sends a signal; a process that is gone already is fine. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/**
 * Waits until none of the processes that `find` gives is left; answers those still there after `timeoutMs`. Polls:
 * processes that are not children give no event.
 */
export async function waitUntilGone(
  find: () => Promise<readonly ProcessInfo[]>,
  timeoutMs: number,
): Promise<readonly ProcessInfo[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = await find();
    if (left.length === 0 || performance.now() > deadline) return left;
    await sleep(20);
  }
}
