import { errors } from "../errors.ts";

/** Cuts a sequence of chunks into pieces of asked sizes; copies only pieces that span chunks. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #current: Buffer = Buffer.alloc(0);
  #position = 0;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Bytes handed out so far. */
  get position(): number {
    return this.#position;
  }

  /** Between 1 and `most` bytes; none at the end. */
  async some(most: number): Promise<Buffer> {
    while (this.#current.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return this.#current;
      this.#current = next.value;
    }
    const piece = this.#current.subarray(0, most);
    this.#current = this.#current.subarray(piece.length);
    this.#position += piece.length;
    return piece;
  }

  /** Exactly `count` bytes. Throws `ARCHIVE_CORRUPT` when fewer are left. */
  async exactly(count: number): Promise<Buffer> {
    const first = await this.some(count);
    if (first.length === count) return first;
    const whole = Buffer.allocUnsafe(count);
    first.copy(whole);
    for (let filled = first.length; filled < count;) {
      const piece = await this.some(count - filled);
      if (piece.length === 0)
        throw errors.ARCHIVE_CORRUPT(`archive ends after ${this.#position} bytes, inside an entry`);
      piece.copy(whole, filled);
      filled += piece.length;
    }
    return whole;
  }

  async skip(count: number): Promise<void> {
    for (let left = count; left > 0;) {
      const piece = await this.some(left);
      if (piece.length === 0)
        throw errors.ARCHIVE_CORRUPT(`archive ends after ${this.#position} bytes, inside an entry`);
      left -= piece.length;
    }
  }
}
