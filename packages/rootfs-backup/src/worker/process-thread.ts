import { Worker } from "node:worker_threads";
import type { EndedProcess, SpawnReply, SpawnRequest } from "./process-spawner.ts";

/** Milliseconds without a process after which the thread ends and gives its memory back. */
const idleMs = 30_000;

/** MiB; the thread holds what processes print. */
const limits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 64, stackSizeMb: 1 };

export interface ProcessRequest {
  readonly command: readonly [program: string, ...args: string[]];
  /** For the process's standard input. */
  readonly input: string;
  /** Whether it takes only what the machine has to spare. */
  readonly inBackground: boolean;
}

interface Waiting {
  readonly promise: Promise<EndedProcess>;
  readonly resolve: (ended: EndedProcess) => void;
  readonly reject: (error: unknown) => void;
  readonly onLine: (line: string) => void;
}

/**
 * Runs processes from a thread of its own: starting one blocks the caller until the new program runs, on a busy
 * machine for tens of milliseconds. The thread is started with the first process and ended when idle; processes die
 * with it.
 */
export class ProcessThread implements AsyncDisposable {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  readonly #disposed = new AbortController();
  #lastId = 0;

  /**
   * Resolves once the process has ended, and rejects only when the thread is lost. The signal kills the process.
   * `onLine` is told each line that it prints but the last.
   */
  async run(
    request: ProcessRequest,
    abort: AbortSignal,
    onLine: (line: string) => void,
  ): Promise<EndedProcess> {
    const signal = AbortSignal.any([abort, this.#disposed.signal]);
    signal.throwIfAborted();
    clearTimeout(this.#idle);
    const id = ++this.#lastId;
    const worker = (this.#worker ??= this.#start());
    const { promise, resolve, reject } = Promise.withResolvers<EndedProcess>();
    this.#waiting.set(id, { promise, resolve, reject, onLine });
    const cancel = (): void => post(worker, { id, kind: "cancel" });
    signal.addEventListener("abort", cancel, { once: true });
    worker.ref();
    post(worker, { id, kind: "run", ...request });
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", cancel);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#rest();
    }
  }

  /** Kills what still runs and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort(new Error("no more processes are started"));
    await Promise.allSettled([...this.#waiting.values()].map(({ promise }) => promise));
    clearTimeout(this.#idle);
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const worker = new Worker(new URL(`./process-spawner.${extension}`, import.meta.url), {
      name: "aeon-processes",
      resourceLimits: limits,
    });
    worker.on("message", (reply: SpawnReply) => {
      const waiting = this.#waiting.get(reply.id);
      if ("ended" in reply) waiting?.resolve(reply.ended);
      else waiting?.onLine(reply.line);
    });
    worker.on("error", (error) => this.#lose(worker, error));
    worker.on("exit", () => this.#lose(worker, new Error("the thread that starts processes ended")));
    return worker;
  }

  #lose(worker: Worker, error: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
  }

  #rest(): void {
    this.#worker?.unref();
    this.#idle = setTimeout(() => {
      const worker = this.#worker;
      this.#worker = undefined;
      worker?.terminate().catch(() => {});
    }, idleMs).unref();
  }
}

const post = (worker: Worker, request: SpawnRequest): void => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  worker.postMessage(request);
};
