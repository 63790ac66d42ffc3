import { createHash } from "node:crypto";
import { fsyncSync, writeSync } from "node:fs";
import { FrameCompressor, type CompressedFrame } from "./frame-compressor.ts";
import type { FramePlace, SealedFrames } from "./frame-format.ts";
import type { FrameIndexWriter } from "./frame-index.ts";

/** Uncompressed bytes of a full frame of a layer. */
const layerFrameSize = 4 * 1024 * 1024;
/** Entries up to this size, header included, are not cut by the end of a frame. */
export const keptTogether = 1024 * 1024;

export interface FrameWriterOptions {
  /** zstd level, 1…19. */
  readonly level: number;
  /** Frames compressed at the same time, each on a thread of libuv's pool. */
  readonly parallel: number;
  /** Uncompressed bytes of a full frame; default 4 MiB. */
  readonly frameSize?: number;
  /** Told of every frame in its order. */
  readonly index?: FrameIndexWriter;
  /** Encrypts every frame; not to be used for another blob. */
  readonly seal?: SealedFrames | undefined;
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

interface FrameInFlight {
  readonly compressed: Promise<CompressedFrame>;
  /** Its memory, to be used again. */
  readonly memory: Buffer;
  readonly place: FramePlace;
}

/**
 * Compresses into independent zstd frames with checksums and writes them to an open file. Taking bytes never
 * waits: callers have to {@link drain} after every frame or so, which bounds the memory.
 */
export class FrameWriter {
  readonly #fd: number;
  readonly #options: FrameWriterOptions;
  readonly #raw = createHash("sha256");
  readonly #stored = createHash("sha256");
  readonly #inFlight: FrameInFlight[] = [];
  readonly #free: Buffer[] = [];
  readonly #frameSize: number;
  readonly #compressor: FrameCompressor;
  #memory: Buffer;
  #used = 0;
  #frames = 0;
  #rawSize = 0;
  #size = 0;

  constructor(fd: number, options: FrameWriterOptions) {
    this.#fd = fd;
    this.#options = options;
    this.#frameSize = options.frameSize ?? layerFrameSize;
    this.#memory = Buffer.allocUnsafeSlow(this.#frameSize);
    this.#compressor = new FrameCompressor(options.level, this.#frameSize);
  }

  /** Uncompressed bytes taken so far. */
  get rawSize(): number {
    return this.#rawSize + this.#used;
  }

  /** Number of the frame that will hold the next byte. */
  get frame(): number {
    return this.#used === this.#frameSize ? this.#frames + 1 : this.#frames;
  }

  /** Starts a new frame unless the current one has room for so many bytes, {@link keptTogether} at most. */
  reserve(count: number): void {
    if (this.#frameSize - this.#used < count) this.#startFrame(false);
  }

  /** Forgets bytes back to what {@link rawSize} was since the last {@link reserve}. */
  rewind(rawSize: number): void {
    this.#used = rawSize - this.#rawSize;
  }

  /** Memory of at least one byte to fill; tell with {@link advance} how much of it was filled. */
  room(): Buffer {
    if (this.#used === this.#frameSize) this.#startFrame(false);
    return this.#memory.subarray(this.#used);
  }

  advance(count: number): void {
    this.#used += count;
  }

  write(bytes: Buffer): void {
    for (let written = 0; written < bytes.length;) {
      if (this.#used === this.#frameSize) this.#startFrame(false);
      const count = bytes.copy(this.#memory, this.#used, written);
      this.#used += count;
      written += count;
    }
  }

  /** Up to a frame of them. */
  zeros(count: number): void {
    for (let left = count; left > 0;) {
      const room = this.room().subarray(0, left);
      room.fill(0);
      this.#used += room.length;
      left -= room.length;
    }
  }

  get isCongested(): boolean {
    return this.#inFlight.length >= this.#options.parallel;
  }

  /** Waits until there is room for another frame, and writes those that are done. */
  async drain(): Promise<void> {
    while (this.isCongested) await this.#writeOldest();
  }

  /** Writes the rest and flushes the file to disk. */
  async finish(): Promise<WrittenBlob> {
    // Frames are started when more is to come, so there is a last one.
    if (this.#used > 0) this.#startFrame(true);
    while (this.#inFlight.length > 0) await this.#writeOldest();
    this.#compressor[Symbol.dispose]();
    fsyncSync(this.#fd);
    return {
      digest: `sha256:${this.#stored.digest("hex")}`,
      size: this.#size,
      diffId: `sha256:${this.#raw.digest("hex")}`,
      rawSize: this.#rawSize,
    };
  }

  #startFrame(last: boolean): void {
    const memory = this.#memory;
    const frame = memory.subarray(0, this.#used);
    const compressed = this.#compressor.compress(frame);
    // Handled where it is awaited; without this a failure before that would end the process.
    compressed.catch(() => {});
    const place = { number: this.#frames, rawOffset: this.#rawSize, rawSize: frame.length, last };
    this.#inFlight.push({ compressed, memory, place });
    this.#raw.update(frame);
    this.#rawSize += frame.length;
    this.#frames += 1;
    this.#memory = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#frameSize);
    this.#used = 0;
  }

  async #writeOldest(): Promise<void> {
    const frame = this.#inFlight.shift();
    if (frame === undefined) return;
    const compressed = await frame.compressed;
    const bytes = this.#options.seal?.seal(compressed.bytes, frame.place) ?? compressed.bytes;
    this.#free.push(frame.memory);
    this.#options.index?.add(bytes, frame.place.rawSize);
    for (let written = 0; written < bytes.length;) written += writeSync(this.#fd, bytes, written);
    this.#stored.update(bytes);
    this.#size += bytes.length;
    compressed.release();
  }
}
