import { execFile, spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { stringify } from "smol-toml";
import { debianFile, temporaryFolder, testCache } from "@aeon/testkit";
import { withFileLock } from "@aeon/standalone";
import { launcherPath, writeLauncher } from "../src/runtime/write-launcher.ts";
import { compileState } from "../src/runtime/compile-state.ts";
import { toolkitPaths, type ToolkitPaths } from "../src/toolkit/toolkit-paths.ts";

const execute = promisify(execFile);
const workspace = join(import.meta.dirname, "../../..");
export const bundle = join(import.meta.dirname, "../dist/bin");

/** Builds the programs as they are installed; quick when nothing changed. */
export async function buildPrograms(): Promise<void> {
  await withFileLock(join(testCache, "bundle.lock"), async () => {
    await execute(join(workspace, "node_modules/.bin/nx"), ["run", "@aeon/hooks-runtime:bundle"], {
      cwd: workspace,
      env: { ...process.env, NX_DAEMON: "false", NX_TUI: "false", DO_NOT_TRACK: "1" },
    });
  });
}

/** runc of the machine's own suite. */
export const runc = (): Promise<string> => debianFile("runc", "usr/sbin/runc");

export interface Result {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CallOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** The program leaves children that keep its output open: nothing of it is read. */
  readonly leavesChildren?: boolean;
}

/** Runs a program and answers how it ended, whatever that is. */
export async function call(
  program: string,
  args: readonly string[],
  options: CallOptions = {},
): Promise<Result> {
  if (options.leavesChildren) return callDetached(program, args);
  const child = spawn(program, args, { stdio: "pipe", ...options });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  child.on("error", reject);
  child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  return promise;
}

async function callDetached(program: string, args: readonly string[]): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const child = spawn(program, args, { stdio: "ignore" });
  child.on("error", reject);
  child.on("exit", (code, signal) => resolve({ code, signal, stdout: "", stderr: "" }));
  return promise;
}

export interface TestToolkit extends AsyncDisposable {
  readonly folder: string;
  readonly paths: ToolkitPaths;
  readonly launcher: string;
  /** Writes hooks.json; a text as it is. */
  rules(content: unknown): Promise<void>;
  /** Compiles the rules, as `hooks apply` does. */
  compile(): Promise<void>;
}

/** A toolkit installed in a folder of its own, in front of a low-level runtime. */
export async function testToolkit(runtimes: readonly string[]): Promise<TestToolkit> {
  const folder = await temporaryFolder("hooks");
  const paths = toolkitPaths(folder.path);
  await mkdir(dirname(paths.config), { recursive: true });
  await mkdir(paths.programs, { recursive: true });
  await writeFile(paths.config, stringify({ "container-hooks-runtime": { runtimes: [...runtimes] } }));
  await writeLauncher({
    paths,
    prefix: folder.path,
    helper: [process.execPath, join(bundle, "container-hooks-helper.js")],
    searchPath: "",
  });
  return {
    folder: folder.path,
    paths,
    launcher: launcherPath(paths),
    rules: (content) =>
      writeFile(paths.hooks, typeof content === "string" ? content : JSON.stringify(content), {
        mode: 0o644,
      }),
    compile: async () => void (await compileState(paths)),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** A program that writes its arguments, separated by NUL, to a file and ends with 7. */
export async function argumentProbe(
  folder: string,
): Promise<{ path: string; args: () => Promise<readonly string[]> }> {
  const output = join(folder, "arguments");
  const path = join(folder, "probe");
  await writeFile(path, `#!/bin/sh\nprintf '%s\\0' "$@" >'${output}'\nexit 7\n`, { mode: 0o755 });
  return { path, args: async () => (await readFile(output, "latin1")).split("\0").slice(0, -1) };
}
