import type { Logger } from "@aeon/core";
import type { DiskThread } from "./disk-thread.ts";
import { removeEmptySnapshot } from "./remove-empty.ts";
import { removeSmallTree } from "./small-tree.ts";

/** Directories deleted at a time. */
const concurrency = 2;
/** Milliseconds without a removal after which deleting starts, so that it does not slow the calls around it. */
const quietMs = 100;
/** Milliseconds after which deleting starts in any case. */
const longestMs = 2000;

/** Deletes directories of removed snapshots in the background, each once, some at a time. */
export class Removals implements AsyncDisposable {
  readonly #thread: DiskThread;
  readonly #log: Logger;
  readonly #abort = new AbortController();
  readonly #queue = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();

  #timer: NodeJS.Timeout | undefined;
  #oldest = 0;

  constructor(thread: DiskThread, log: Logger) {
    this.#thread = thread;
    this.#log = log;
  }

  add(directory: string): void {
    if (this.#abort.signal.aborted || this.#running.has(directory)) return;
    const now = performance.now();
    if (this.#queue.size === 0) this.#oldest = now;
    this.#queue.add(directory);
    if (this.#running.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.#fill(),
      Math.max(0, Math.min(quietMs, longestMs - (now - this.#oldest))),
    ).unref();
  }

  /** Resolves when everything that was added has been tried. */
  async settled(): Promise<void> {
    this.#fill();
    while (this.#running.size > 0) await Promise.race(this.#running.values());
  }

  /** Ends after the deletions under way; the rest stays for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error("the snapshotter closes"));
    clearTimeout(this.#timer);
    this.#queue.clear();
    await this.settled();
  }

  #fill(): void {
    for (const directory of this.#queue) {
      if (this.#running.size >= concurrency) return;
      this.#queue.delete(directory);
      this.#running.set(directory, this.#delete(directory));
    }
  }

  async #delete(directory: string): Promise<void> {
    try {
      if (!(await removeEmptySnapshot(directory)) && !(await removeSmallTree(directory)))
        await this.#thread.remove(directory, this.#abort.signal);
    } catch (error) {
      if (!this.#abort.signal.aborted)
        this.#log.warn({ directory, error }, "cannot delete the directory of a removed snapshot");
    } finally {
      this.#running.delete(directory);
      this.#fill();
    }
  }
}
