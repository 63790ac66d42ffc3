import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open, readFile } from "node:fs/promises";
import { errorMessage } from "@aeon/core";
import { environment } from "./environment.ts";
import { errors } from "./errors.ts";

export interface DaemonOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Added to this process's environment, or taken out of it where undefined. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** File that gets standard output and error, appended. */
  readonly log: string;
}

/** A long-running child in a session of its own, so that Ctrl-C at the terminal reaches only its owner. */
export class Daemon {
  readonly pid: number;
  readonly log: string;
  /** Resolves with how it ended, such as `exit code 1` or `SIGKILL`. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, pid: number, log: string) {
    this.#child = child;
    this.pid = pid;
    this.log = log;
    const { promise, resolve } = Promise.withResolvers<string>();
    child.once("exit", (code, signal) => resolve(code === null ? String(signal) : `exit code ${code}`));
    this.ended = promise;
  }

  /** Starts the program; throws `PROGRAM_MISSING` when it cannot be run. */
  static async start({ program, args, cwd, env, log }: DaemonOptions): Promise<Daemon> {
    await using file = await open(log, "a");
    const child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", file.fd, file.fd],
      env: { ...environment(), NOTIFY_SOCKET: undefined, ...env },
      cwd,
    });
    await once(child, "spawn").catch((error: unknown) => {
      throw errors.PROGRAM_MISSING(`${program} cannot be run: ${errorMessage(error)}`, { cause: error });
    });
    if (child.pid === undefined) throw errors.PROGRAM_MISSING(`${program} has no process`);
    return new Daemon(child, child.pid, log);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Sends a signal and waits for the end; after `graceMs` the process is killed. */
  async end(signal: NodeJS.Signals, graceMs: number): Promise<void> {
    if (!this.running) return;
    this.#child.kill(signal);
    const hard = setTimeout(() => this.#child.kill("SIGKILL"), graceMs);
    await this.ended;
    clearTimeout(hard);
  }

  /** The last lines that it wrote. */
  logTail(): Promise<string> {
    return logTail(this.log);
  }
}

/** The last lines of a log file, or why it cannot be read. */
export async function logTail(path: string, lines = 6): Promise<string> {
  const text = await readFile(path, "utf8").catch(errorMessage);
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
