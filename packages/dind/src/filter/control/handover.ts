import type { StdioOptions } from "node:child_process";
import { readyLine, type HandoverRequest } from "../filter-config.ts";

const patienceMs = 20_000;

/**
 * Starts the next version of this process with the listening sockets, and waits until it serves. Its control socket
 * takes the place of this one's. Rejects, and ends it, when it does not come up.
 */
export async function startSuccessor(
  { command, config }: HandoverRequest,
  listeners: readonly number[],
): Promise<number> {
  const [program, ...args] = command;
  if (program === undefined) throw new Error("the command is empty");
  const stdio: StdioOptions = ["ignore", "pipe", "ignore", ...listeners];
  const { spawn } = process.getBuiltinModule("node:child_process");
  const child = spawn(
    program,
    [...args, config, "--listeners", listeners.map((_, index) => index + 3).join(",")],
    {
      detached: true,
      stdio,
    },
  );
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const timer = setTimeout(() => reject(new Error("the successor is not ready in time")), patienceMs);
  child.on("error", reject);
  child.on("exit", (code, signal) =>
    reject(new Error(`the successor ended (${code ?? signal ?? "unknown"})`)),
  );
  child.stdout?.on("data", (chunk: Buffer) => {
    if (chunk.toString().includes(readyLine)) resolve(child.pid ?? 0);
  });
  try {
    const pid = await promise;
    child.stdout?.destroy();
    child.unref();
    return pid;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
