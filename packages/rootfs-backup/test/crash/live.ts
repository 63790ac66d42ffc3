import { spawn } from "node:child_process";
import { dirname, join } from "node:path";

/** How one life of a node ended. */
export interface Life {
  readonly killed: boolean;
  readonly output: string;
}

export interface LifeOptions {
  readonly program: string;
  readonly args?: readonly string[];
  readonly input?: string;
  /** Milliseconds after its first output until it is killed. */
  readonly killAfterMs?: number | undefined;
}

/** Runs a program to its end, which may be SIGKILL. Rejects with its error output when it fails otherwise. */
export function live({ program, args = [], input = "", killAfterMs }: LifeOptions): Promise<Life> {
  const { promise, resolve, reject } = Promise.withResolvers<Life>();
  // Compiled once, since hundreds of nodes and workers are started.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(dirname(program), "compiled") };
  const child = spawn(process.execPath, [program, ...args], { stdio: ["pipe", "pipe", "pipe"], env });
  let [output, errors] = ["", ""];
  let timer: NodeJS.Timeout | undefined;
  child.stdout.on("data", (data: Buffer) => {
    output += data.toString();
    if (killAfterMs !== undefined) timer ??= setTimeout(() => child.kill("SIGKILL"), killAfterMs);
  });
  child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  child.on("error", reject);
  child.on("close", (code, signal) => {
    clearTimeout(timer);
    if (signal === "SIGKILL" || code === 0) resolve({ killed: signal === "SIGKILL", output });
    else reject(new Error(`the node ended with ${code ?? signal}: ${errors}`));
  });
  return promise;
}
