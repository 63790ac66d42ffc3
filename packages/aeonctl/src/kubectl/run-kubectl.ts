import { spawn } from "node:child_process";
import { once } from "node:events";

/** Runs kubectl with these arguments, and this text as its input, on this process's terminal; gives its exit code. */
export type RunKubectl = (args: readonly string[], input?: string) => Promise<number>;

/** Runs the kubectl that called this program: kubectl puts itself into no variable, so it is the one in PATH. */
export const runKubectl: RunKubectl = async (args, input) => {
  const child = spawn("kubectl", args, {
    stdio: [input === undefined ? "inherit" : "pipe", "inherit", "inherit"],
  });
  const ended = once(child, "close");
  child.stdin?.end(input);
  const [code] = await ended;
  return typeof code === "number" ? code : 1;
};
