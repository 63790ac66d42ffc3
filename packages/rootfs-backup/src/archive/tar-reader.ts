import { errors } from "../errors.ts";
import type { ByteReader } from "./byte-reader.ts";
import { parsePax, type PaxRecords } from "./pax.ts";
import { blockSize, padding, type TarEntry } from "./tar-entry.ts";
import { classifyHeader, decodeHeader } from "./tar-header.ts";

const noRecords: PaxRecords = new Map();

/** Reads a pax archive entry by entry. */
export class TarReader {
  readonly #bytes: ByteReader;
  /** Data of the current entry that was not read yet, and the padding after it. */
  #left = 0;
  #padding = 0;

  constructor(bytes: ByteReader) {
    this.#bytes = bytes;
  }

  /** The next entry, after skipping what is left of the last one; undefined after the last. */
  async next(): Promise<TarEntry | undefined> {
    await this.#bytes.skip(this.#left + this.#padding);
    let pax: PaxRecords | undefined;
    for (;;) {
      const block = await this.#bytes.exactly(blockSize);
      if (block[0] === 0 && isZero(block)) {
        if (pax !== undefined) throw errors.ARCHIVE_CORRUPT("archive ends after an extended header");
        await this.#end();
        return undefined;
      }
      const header = classifyHeader(block);
      if (header.kind === "entry") return this.#start(decodeHeader(header.block, pax ?? noRecords));
      if (pax !== undefined) throw errors.ARCHIVE_CORRUPT("archive holds two extended headers for one entry");
      // The records point into the chunk, which the next read may replace; entries copy what they keep.
      pax = parsePax(Buffer.from(await this.#bytes.exactly(header.size)));
      await this.#bytes.skip(padding(header.size));
    }
  }

  /** Up to `most` bytes of the current entry's data; none at its end. */
  async data(most: number): Promise<Buffer> {
    if (this.#left === 0) return Buffer.alloc(0);
    const piece = await this.#bytes.some(Math.min(most, this.#left));
    if (piece.length === 0) throw errors.ARCHIVE_CORRUPT("archive ends inside the data of an entry");
    this.#left -= piece.length;
    return piece;
  }

  /** Exactly `count` bytes of the current entry's data. */
  async dataExactly(count: number): Promise<Buffer> {
    if (count > this.#left) throw errors.ARCHIVE_CORRUPT("archive holds a sparse file without its map");
    this.#left -= count;
    return this.#bytes.exactly(count);
  }

  #start(entry: TarEntry): TarEntry {
    this.#left = entry.size;
    this.#padding = padding(entry.size);
    return entry;
  }

  /** The end mark is two zero blocks; writers may pad with more of them. */
  async #end(): Promise<void> {
    this.#left = 0;
    this.#padding = 0;
    if (!isZero(await this.#bytes.exactly(blockSize)))
      throw errors.ARCHIVE_CORRUPT("archive goes on after its end mark");
    for (;;) {
      const rest = await this.#bytes.some(1 << 20);
      if (rest.length === 0) return;
      if (!isZero(rest)) throw errors.ARCHIVE_CORRUPT("archive goes on after its end mark");
    }
  }
}

const zeros = Buffer.alloc(1 << 20);
const isZero = (bytes: Buffer): boolean => bytes.equals(zeros.subarray(0, bytes.length));
