import { Worker } from "node:worker_threads";
import type { Measured } from "@aeon/core/trees";
import { errors } from "../errors.ts";
import type { DiskReply, DiskRequest } from "./disk-worker.ts";

/** Milliseconds without work after which the thread ends and gives its memory back. */
const idleMs = 30_000;

/** MiB; a walk keeps only the directories above it and the links it has seen. */
const limits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 256, stackSizeMb: 1 };

interface Waiting {
  readonly resolve: (measured: Measured | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Walks directory trees on a thread of its own, started with the first tree and ended when idle. */
export class DiskThread implements AsyncDisposable {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #lastId = 0;
  #closed = false;

  /** Disk usage of a tree. */
  async measure(path: string, signal: AbortSignal): Promise<Measured> {
    return (await this.#run("measure", path, signal)) ?? { size: 0, inodes: 0 };
  }

  /** Deletes a tree. */
  async remove(path: string, signal: AbortSignal): Promise<void> {
    await this.#run("remove", path, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    await this.#worker?.terminate();
  }

  async #run(kind: "measure" | "remove", path: string, signal: AbortSignal): Promise<Measured | undefined> {
    signal.throwIfAborted();
    if (this.#closed) throw errors.SNAPSHOTTER_CLOSED("the snapshotter is closed");
    const id = ++this.#lastId;
    const worker = this.#start();
    const { promise, resolve, reject } = Promise.withResolvers<Measured | undefined>();
    const cancel = (): void => {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage({ id, kind: "cancel" } satisfies DiskRequest);
      reject(signal.reason);
    };
    signal.addEventListener("abort", cancel, { once: true });
    this.#waiting.set(id, { resolve, reject });
    worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage({ id, kind, path } satisfies DiskRequest);
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", cancel);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#rest();
    }
  }

  #start(): Worker {
    clearTimeout(this.#idle);
    return (this.#worker ??= this.#spawn());
  }

  #spawn(): Worker {
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const worker = new Worker(new URL(`./disk-worker.${extension}`, import.meta.url), {
      name: "aeon-disk",
      resourceLimits: limits,
    });
    worker.on("message", (reply: DiskReply) => this.#settle(reply));
    worker.on("error", (error) => this.#lose(worker, error));
    worker.on("exit", () => this.#lose(worker, new Error("the disk thread ended")));
    return worker;
  }

  #settle(reply: DiskReply): void {
    const waiting = this.#waiting.get(reply.id);
    if (reply.ok) waiting?.resolve(reply.measured);
    else
      waiting?.reject(
        Object.assign(new Error(reply.message), reply.code === undefined ? {} : { code: reply.code }),
      );
  }

  #lose(worker: Worker, error: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
  }

  #rest(): void {
    this.#worker?.unref();
    this.#idle = setTimeout(() => this.#end(), idleMs);
    this.#idle.unref();
  }

  #end(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    worker?.terminate().catch(() => {});
  }
}
