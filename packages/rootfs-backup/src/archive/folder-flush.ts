import { closeSync, constants, fsyncSync, openSync } from "node:fs";
import { linux } from "@aeon/core";

/** Bytes between two flushes on the way. */
const flushEvery = 128 * 1024 * 1024;

/** Brings what is written below a folder to disk, some of it while more is being made. */
export class FolderFlush implements AsyncDisposable {
  /** One for all flushes: each failure of the disk is told once to each open file. */
  readonly #fd: number;
  #unflushed = 0;
  #isFlushing = false;
  #flushing: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.#fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  /** Passes chunks on, of which files are made, and begins to flush now and then. */
  async *pass(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
    for await (const chunk of chunks) {
      yield chunk;
      this.#unflushed += chunk.length;
      if (this.#unflushed >= flushEvery && !this.#isFlushing) this.#begin();
    }
  }

  /** Resolves when everything is on disk; rejects if any of it is not. */
  async finish(): Promise<void> {
    await this.#flushing;
    await linux.syncFileSystem(this.#fd);
    fsyncSync(this.#fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#flushing]);
    closeSync(this.#fd);
  }

  #begin(): void {
    this.#unflushed = 0;
    this.#isFlushing = true;
    this.#flushing = this.#flushAfter(this.#flushing);
    // Told of by finish.
    this.#flushing.catch(() => {});
  }

  async #flushAfter(before: Promise<void>): Promise<void> {
    await before;
    await linux.syncFileSystem(this.#fd);
    this.#isFlushing = false;
  }
}
