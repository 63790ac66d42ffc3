import { delimiter, join } from "node:path";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { once } from "node:events";
import { startStandalone, type Standalone } from "@aeon/standalone";
import { temporaryFolder, testCache } from "@aeon/testkit";

/** How a command ended and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A containerd with aeon in a temporary folder, and its commands. */
export interface RunningAeon extends AsyncDisposable {
  readonly root: string;
  readonly standalone: Standalone;
  /** Variables with which `ctr` and `aeonctl` are those of this aeon. */
  readonly env: NodeJS.ProcessEnv;
  /** Runs a script in bash with these variables. */
  bash(script: string, env?: NodeJS.ProcessEnv): Promise<Ended>;
  aeonctl(...args: readonly string[]): Promise<Ended>;
}

/** Starts what `npm start` starts. */
export async function startAeon(): Promise<RunningAeon> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder("e"));
  const root = join(folder.path, "r");
  const standalone = stack.use(
    await startStandalone({
      root,
      cache: testCache,
      workspace: join(import.meta.dirname, ".."),
      line: "2.1",
      progress: { step: (_title, work) => work(() => {}) },
      signal: new AbortController().signal,
    }),
  );
  const { AEON_ADDRESS: _a, NO_COLOR: _n, FORCE_COLOR: _f, CI: _c, ...inherited } = process.env;
  const env = { ...inherited, PATH: [join(root, "bin"), inherited["PATH"]].join(delimiter) };
  const owned = stack.move();
  return {
    root,
    standalone,
    env,
    bash: (script, more = {}) => run("bash", ["--norc", "-c", script], { ...env, ...more }),
    aeonctl: (...args) => run(join(root, "bin/aeonctl"), args, env),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close");
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await ended;
  return { code: child.exitCode, stdout, stderr };
}
