import { execFile } from "node:child_process";
import { errorMessage, errnoOf } from "@aeon/core";
import { errors } from "./errors.ts";

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  /** The whole environment of the program; its parent's when absent. */
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds until the program is killed. */
  readonly timeoutMs?: number;
  /** Written to the program's standard input, which is then closed. */
  readonly input?: string | Uint8Array;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Throws `PROGRAM_MISSING`, or `PROGRAM_FAILED` with the end of what it wrote. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  const child = execFile(
    program,
    args,
    {
      encoding: "utf8",
      maxBuffer: 64 << 20,
      ...(options.signal && { signal: options.signal }),
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      ...(options.env && { env: options.env }),
      ...(options.timeoutMs !== undefined && { timeout: options.timeoutMs, killSignal: "SIGKILL" as const }),
    },
    (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr });
      else reject(failure(program, args, error, `${stdout}\n${stderr}`));
    },
  );
  // A program that ends without reading its input must not take this process down with EPIPE.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input ?? "");
  return promise;
}

function failure(program: string, args: readonly string[], error: Error, output: string): Error {
  if (error.name === "AbortError") return error;
  if (errnoOf(error) === "ENOENT")
    return errors.PROGRAM_MISSING(`${program} is not installed`, { cause: error, details: { program } });
  const tail = output.trim().split("\n").slice(-20).join("\n");
  return errors.PROGRAM_FAILED(`${[program, ...args].join(" ")}: ${tail || errorMessage(error)}`, {
    cause: error,
    details: { program, output: tail },
  });
}
