/**
 * Writes that go on while the archive is read further, from memory that the reader uses again. At most those of two
 * chunks are under way.
 */
export class PendingWrites implements AsyncDisposable {
  #before: Promise<void>[] = [];
  #now: Promise<void>[] = [];

  /**
   * Passes chunks on. Writes from one of them have ended when the second one after it is asked for, and fail there if
   * they failed.
   */
  async *pass(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
    for await (const chunk of chunks) {
      yield chunk;
      const before = this.#before;
      this.#before = this.#now;
      this.#now = [];
      await all(before);
    }
  }

  /** Takes a write, or what waits for writes that were added before. */
  add(work: Promise<void>): Promise<void> {
    // Told of where it is waited for; until then it must not end the process.
    work.catch(() => {});
    this.#now.push(work);
    return work;
  }

  /** Resolves when nothing is under way, and rejects if something failed. */
  async finish(): Promise<void> {
    await all([...this.#before, ...this.#now]);
  }

  /** Ends what is under way, so that nobody writes to the folder any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#before, ...this.#now]);
  }
}

/** Waits for all before it tells of the first failure. */
async function all(works: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(works);
  await Promise.all(works);
}
