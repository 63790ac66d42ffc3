/** Which keys running operations use, so that the outcome of each is certain. */
export class KeyLocks {
  readonly #writers = new Set<string>();
  readonly #readers = new Map<string, number>();

  /** Takes all or nothing; answers how to give them back. */
  tryTake(writes: readonly string[], reads: readonly string[]): (() => void) | undefined {
    const busy =
      writes.some((key) => this.#writers.has(key) || this.#readers.has(key)) ||
      reads.some((key) => this.#writers.has(key));
    if (busy) return undefined;
    for (const key of writes) this.#writers.add(key);
    for (const key of reads) this.#readers.set(key, (this.#readers.get(key) ?? 0) + 1);
    return () => {
      for (const key of writes) this.#writers.delete(key);
      for (const key of reads) this.#release(key);
    };
  }

  #release(key: string): void {
    const left = (this.#readers.get(key) ?? 1) - 1;
    if (left === 0) this.#readers.delete(key);
    else this.#readers.set(key, left);
  }
}
