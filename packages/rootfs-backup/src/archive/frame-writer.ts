import { fdatasync as fdatasyncCallback, fsyncSync, write as writeCallback } from "node:fs";
import { promisify } from "node:util";
import { linux } from "@aeon/core";
import { FrameCompressor, type CompressedFrame } from "./frame-compressor.ts";
import type { FramePlace, SealedFrames } from "./frame-format.ts";
import type { FrameIndexWriter } from "./frame-index.ts";

const write = promisify(writeCallback);
const fdatasync = promisify(fdatasyncCallback);

/** Uncompressed bytes of a full frame of a layer. */
const layerFrameSize = 4 * 1024 * 1024;
/**
 * Bytes written between two flushes on the way, so that little is left to wait for: at the end, and for others who flush
 * the same disk meanwhile, such as removals.
 */
const flushEvery = 8 * 1024 * 1024;
/** Entries up to this size, header included, are not cut by the end of a frame. */
export const keptTogether = 1024 * 1024;

export interface FrameWriterOptions {
  /** zstd level, 1…19. */
  readonly level: number;
  /** Frames at work, compressed or written, on threads of libuv's pool. */
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

/**
 * Compresses into independent zstd frames with checksums and writes them to an open file. Taking bytes never
 * waits: callers have to {@link drain} after every frame or so, which bounds the memory.
 */
export class FrameWriter implements AsyncDisposable {
  readonly #fd: number;
  readonly #options: FrameWriterOptions;
  readonly #raw = new linux.BackgroundSha256();
  readonly #stored = new linux.BackgroundSha256();
  /** One for every frame that is not written yet, in their order. */
  readonly #inFlight: Promise<void>[] = [];
  readonly #free: Buffer[] = [];
  readonly #frameSize: number;
  readonly #compressor: FrameCompressor;
  #memory: Buffer;
  #used = 0;
  #frames = 0;
  #rawSize = 0;
  #size = 0;
  #unflushed = 0;
  #flushing: Promise<void> | undefined;

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
    while (this.isCongested) await this.#oldest();
  }

  /** Writes the rest and flushes the file to disk. */
  async finish(): Promise<WrittenBlob> {
    // Frames are started when more is to come, so there is a last one.
    if (this.#used > 0) this.#startFrame(true);
    while (this.#inFlight.length > 0) await this.#oldest();
    // What failed to reach the disk is told only once, to whoever flushes.
    await this.#flushing;
    fsyncSync(this.#fd);
    const [digest, diffId] = [await this.#stored.digest(), await this.#raw.digest()];
    return {
      digest: `sha256:${digest}`,
      size: this.#size,
      diffId: `sha256:${diffId}`,
      rawSize: this.#rawSize,
    };
  }

  /** Ends the work that is under way, so that the file can be closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#inFlight, this.#flushing]);
    this.#compressor[Symbol.dispose]();
  }

  #startFrame(last: boolean): void {
    const memory = this.#memory;
    const frame = memory.subarray(0, this.#used);
    const place = { number: this.#frames, rawOffset: this.#rawSize, rawSize: frame.length, last };
    const work = [this.#compressor.compress(frame), this.#raw.update(frame)] as const;
    const done = this.#store(Promise.all(work), memory, place, this.#inFlight.at(-1));
    // Handled where it is awaited; without this a failure before that would end the process.
    done.catch(() => {});
    this.#inFlight.push(done);
    this.#rawSize += frame.length;
    this.#frames += 1;
    this.#memory = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#frameSize);
    this.#used = 0;
  }

  /** Writes a compressed frame after those before it. */
  async #store(
    work: Promise<readonly [CompressedFrame, void]>,
    memory: Buffer,
    place: FramePlace,
    before: Promise<void> | undefined,
  ): Promise<void> {
    const [compressed] = await work;
    this.#free.push(memory);
    await before;
    const { seal, index } = this.#options;
    const bytes = seal?.seal(compressed.bytes, place) ?? compressed.bytes;
    index?.add(bytes, place.rawSize);
    await Promise.all([this.#stored.update(bytes), this.#write(bytes)]);
    this.#size += bytes.length;
    compressed.release();
  }

  async #write(bytes: Buffer): Promise<void> {
    for (let written = 0; written < bytes.length;)
      written += (await write(this.#fd, bytes, written, bytes.length - written, null)).bytesWritten;
    this.#unflushed += bytes.length;
    if (this.#unflushed >= flushEvery) this.#flushOnTheWay();
  }

  #flushOnTheWay(): void {
    this.#unflushed = 0;
    const flushing = this.#flushAfter(this.#flushing);
    // Handled where it is awaited.
    flushing.catch(() => {});
    this.#flushing = flushing;
  }

  async #flushAfter(before: Promise<void> | undefined): Promise<void> {
    await before;
    await fdatasync(this.#fd);
  }

  async #oldest(): Promise<void> {
    await this.#inFlight[0];
    void this.#inFlight.shift();
  }
}
