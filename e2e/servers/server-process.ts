import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createConnection } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A program that takes `--root DIR --socket PATH` and serves a snapshotter until SIGTERM or the end of its input. */
export interface ServerCommand {
  readonly name: string;
  readonly argv: readonly [program: string, ...args: string[]];
}

/** A snapshotter in a process of its own; disposing stops it in order. */
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
  /** Appended to the command. */
  readonly args?: readonly string[];
  /** Kills the process if it is not ready by then. */
  readonly signal?: AbortSignal;
}

const startLimitMs = 30_000;
const stopLimitMs = 20_000;

/** Starts the server and resolves once its socket accepts connections; throws with its output when it ends before. */
export async function startServer(command: ServerCommand, options: ServerOptions): Promise<ServerProcess> {
  const { root, socket, args = [], signal } = options;
  const [program, ...fixed] = command.argv;
  const from = performance.now();
  const child = spawn(program, [...fixed, "--root", root, "--socket", socket, ...args], {
    stdio: ["pipe", "inherit", "pipe"],
  });
  const server = new Server(child, socket);
  const decided = new AbortController();
  const asking = AbortSignal.any([decided.signal, ...(signal ? [signal] : [])]);
  try {
    await Promise.race([untilConnected(socket, asking), server.failure]);
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

/** Connects until it works: the appearance of a listening socket is no event that could be awaited. */
async function untilConnected(socket: string, signal: AbortSignal): Promise<void> {
  const limit = Date.now() + startLimitMs;
  while (Date.now() < limit) {
    signal.throwIfAborted();
    if (await accepts(socket)) return;
    await sleep(2);
  }
  throw new Error(`nothing listens on ${socket} after ${startLimitMs / 1000} s`);
}

function accepts(socket: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const connection = createConnection(socket);
  connection.once("connect", () => {
    connection.destroy();
    resolve(true);
  });
  connection.once("error", () => resolve(false));
  return promise;
}
