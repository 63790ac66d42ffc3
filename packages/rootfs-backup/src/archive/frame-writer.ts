import { createHash } from "node:crypto";
import { fsyncSync, writeSync } from "node:fs";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import type { FrameIndexWriter } from "./frame-index.ts";

const compress = promisify(zstdCompress);

/** Uncompressed bytes of one frame of a layer, except the last. */
const layerFrameSize = 4 * 1024 * 1024;

export interface FrameWriterOptions {
  /** zstd level, 1…19. */
  readonly level: number;
  /** Frames compressed at the same time, each on a thread of libuv's pool. */
  readonly parallel: number;
  /** Uncompressed bytes of one frame, except the last; default 4 MiB. */
  readonly frameSize?: number;
  /** Told of every frame in its order. */
  readonly index?: FrameIndexWriter;
}

/** What was written: the compressed blob and the archive inside it. */
export interface WrittenBlob {
  /** `sha256:…` of the compressed bytes. */
  readonly digest: string;
  readonly size: number;
  /** `sha256:…` of the archive. */
  readonly diffId: string;
  readonly rawSize: number;
}

/**
 * Compresses into independent zstd frames with checksums and writes them to an open file. The bytes depend on
 * the input alone, not on how it was cut into writes.
 */
export class FrameWriter {
  readonly #fd: number;
  readonly #options: FrameWriterOptions;
  readonly #raw = createHash("sha256");
  readonly #stored = createHash("sha256");
  readonly #inFlight: { readonly stored: Promise<Buffer>; readonly rawSize: number }[] = [];
  readonly #frameSize: number;
  #frame: Buffer;
  #frames = 0;
  #used = 0;
  #rawSize = 0;
  #size = 0;

  constructor(fd: number, options: FrameWriterOptions) {
    this.#fd = fd;
    this.#options = options;
    this.#frameSize = options.frameSize ?? layerFrameSize;
    this.#frame = Buffer.allocUnsafeSlow(this.#frameSize);
  }

  /** Uncompressed bytes taken so far. */
  get rawSize(): number {
    return this.#rawSize + this.#used;
  }

  /** Number of the frame that will hold the next byte. */
  get frame(): number {
    return this.#used === this.#frameSize ? this.#frames + 1 : this.#frames;
  }

  /** Memory of at least one byte to fill; tell with {@link advance} how much of it was filled. */
  async room(): Promise<Buffer> {
    if (this.#used === this.#frameSize) await this.#startFrame();
    return this.#frame.subarray(this.#used);
  }

  advance(count: number): void {
    this.#used += count;
  }

  async write(bytes: Buffer): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      const count = rest.copy(await this.room());
      this.advance(count);
      rest = rest.subarray(count);
    }
  }

  async zeros(count: number): Promise<void> {
    for (let left = count; left > 0;) {
      const room = (await this.room()).subarray(0, left);
      room.fill(0);
      this.advance(room.length);
      left -= room.length;
    }
  }

  /** Writes the rest and flushes the file to disk. */
  async finish(): Promise<WrittenBlob> {
    if (this.#used > 0) await this.#startFrame();
    while (this.#inFlight.length > 0) await this.#writeOldest();
    fsyncSync(this.#fd);
    return {
      digest: `sha256:${this.#stored.digest("hex")}`,
      size: this.#size,
      diffId: `sha256:${this.#raw.digest("hex")}`,
      rawSize: this.#rawSize,
    };
  }

  async #startFrame(): Promise<void> {
    const frame = this.#frame.subarray(0, this.#used);
    // Node's types lack `pledgedSrcSize`, which writes the size into the frame's header.
    const options = {
      params: {
        [constants.ZSTD_c_compressionLevel]: this.#options.level,
        [constants.ZSTD_c_checksumFlag]: 1,
      },
      pledgedSrcSize: frame.length,
      chunkSize: this.#frameSize,
    };
    const result = compress(frame, options);
    // Handled where it is awaited; without this a failure before that would end the process.
    result.catch(() => {});
    this.#inFlight.push({ stored: result, rawSize: frame.length });
    this.#frames += 1;
    this.#raw.update(frame);
    this.#rawSize += frame.length;
    this.#frame = Buffer.allocUnsafeSlow(this.#frameSize);
    this.#used = 0;
    while (this.#inFlight.length >= this.#options.parallel) await this.#writeOldest();
  }

  async #writeOldest(): Promise<void> {
    const frame = this.#inFlight.shift();
    if (frame === undefined) return;
    const bytes = await frame.stored;
    this.#options.index?.add(bytes, frame.rawSize);
    for (let written = 0; written < bytes.length;) written += writeSync(this.#fd, bytes, written);
    this.#stored.update(bytes);
    this.#size += bytes.length;
  }
}
