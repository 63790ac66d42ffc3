import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createConnection } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A program that takes `--root DIR --socket PATH` and serves a snapshotter until SIGTERM or the end of its input. */
export interface ServerCommand {
  readonly name: string;
  readonly argv: readonly [program: string, ...args: string[]];
}

/** A process that serves a snapshotter; disposing stops it in order. */
export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  readonly socket: string;
  /** Milliseconds from the start of the process until its socket answered. */
  readonly readyMs: number;
  /** What it wrote to standard error so far. */
  readonly errors: () => string;
  /** Ends it without a chance to clean up. */
  kill(): Promise<void>;
}

export interface ServerOptions {
  readonly root: string;
  readonly socket: string;
  /** Kills the process if it is not ready by then. */
  readonly signal?: AbortSignal;
}

/** How {@link startProcess} starts a program. */
export interface StartOptions {
  /** Kills the process if it is not ready by then. */
  readonly signal?: AbortSignal;
  /** Variables on top of this process's. */
  readonly environment?: NodeJS.ProcessEnv;
}

const startLimitMs = 30_000;
const stopLimitMs = 20_000;

/** Starts a snapshotter and resolves once its socket accepts connections; see {@link startProcess}. */
export const startServer = (
  { argv }: ServerCommand,
  { root, socket, signal }: ServerOptions,
): Promise<ServerProcess> =>
  startProcess([...argv, "--root", root, "--socket", socket], socket, () => accepts(socket), {
    ...(signal && { signal }),
  });

/**
 * Starts a program and resolves once `ready` says so. Throws with the program's output when it ends before, and
 * kills it when the signal or 30 s pass first.
 */
export async function startProcess(
  [program, ...args]: readonly [string, ...string[]],
  socket: string,
  ready: () => Promise<boolean>,
  { signal, environment }: StartOptions = {},
): Promise<ServerProcess> {
  const from = performance.now();
  const env = { ...process.env, ...environment };
  const server = new Server(spawn(program, args, { stdio: ["pipe", "ignore", "pipe"], env }), socket);
  const decided = new AbortController();
  const asking = AbortSignal.any([decided.signal, ...(signal ? [signal] : [])]);
  try {
    await Promise.race([until(ready, asking), server.failure]);
  } catch (error) {
    await server.kill();
    throw error;
  } finally {
    decided.abort(new Error("the start was decided"));
  }
  server.readyMs = performance.now() - from;
  return server;
}

class Server implements ServerProcess {
  readonly pid: number;
  readonly socket: string;
  readonly failure: Promise<never>;
  readyMs = 0;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #errors = "";

  constructor(child: ChildProcess, socket: string) {
    this.#child = child;
    this.socket = socket;
    this.pid = child.pid ?? -1;
    this.#exited = once(child, "exit");
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-16_384);
    });
    // The pipe only tells the server that this process lives; writing never happens.
    child.stdin?.on("error", () => {});
    this.failure = this.#exited.then(() => {
      throw new Error(`server ended with ${child.signalCode ?? child.exitCode}: ${this.#errors}`);
    });
    this.failure.catch(() => {});
  }

  errors = (): string => this.#errors;

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited.catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGTERM");
    const limit = setTimeout(() => this.#child.kill("SIGKILL"), stopLimitMs);
    await this.#exited;
    clearTimeout(limit);
    if (this.#child.exitCode !== 0)
      throw new Error(
        `server stopped with ${this.#child.signalCode ?? this.#child.exitCode}: ${this.#errors}`,
      );
  }
}

/** Asks again and again: neither a listening socket nor a health page gives an event. */
async function until(ready: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  const limit = Date.now() + startLimitMs;
  while (Date.now() < limit) {
    signal.throwIfAborted();
    if (await ready()) return;
    await sleep(2);
  }
  throw new Error(`the program is not ready after ${startLimitMs / 1000} s`);
}

/** True when a server listens on the Unix socket. */
export function accepts(socket: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const connection = createConnection(socket);
  connection.once("connect", () => {
    connection.destroy();
    resolve(true);
  });
  connection.once("error", () => resolve(false));
  return promise;
}
