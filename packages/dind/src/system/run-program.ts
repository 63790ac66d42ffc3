import { execFile } from "node:child_process";
import { errorMessage, errnoOf } from "@aeon/core";
import { errors } from "../errors.ts";

export interface ProgramOptions {
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  /** Milliseconds until the program is killed; two minutes when absent. */
  readonly timeoutMs?: number;
}

/** Runs a program without a shell and gives its standard output. Throws `DIND_PROGRAM_FAILED` with what it said. */
export function runProgram(
  program: string,
  args: readonly string[],
  { signal, cwd, timeoutMs = 120_000 }: ProgramOptions = {},
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  execFile(
    program,
    args,
    {
      maxBuffer: 64 << 20,
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      // Messages are shown, and mount tables are read: neither may be translated.
      env: { PATH: searchPath, LC_ALL: "C" },
      ...(signal && { signal }),
      ...(cwd !== undefined && { cwd }),
    },
    (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      if (error.name === "AbortError") return reject(error);
      const missing = errnoOf(error) === "ENOENT" ? "it is not installed" : undefined;
      const said = `${stdout}\n${stderr}`.trim().split("\n").slice(-8).join("\n");
      const message = `${program} ${args.join(" ")}: ${missing ?? (said || errorMessage(error))}`;
      return reject(errors.DIND_PROGRAM_FAILED(message, { cause: error, details: { program } }));
    },
  );
  return promise;
}

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
