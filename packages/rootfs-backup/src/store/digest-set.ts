/** Many digests in little memory: of each the first 128 bits, in about 50 bytes. */
export class DigestSet {
  readonly #set = new Set<string>();

  get size(): number {
    return this.#set.size;
  }

  add(digest: string): void {
    this.#set.add(shorten(digest));
  }

  has(digest: string): boolean {
    return this.#set.has(shorten(digest));
  }
}

const shorten = (digest: string): string => Buffer.from(digest.slice(-64, -32), "hex").toString("latin1");
