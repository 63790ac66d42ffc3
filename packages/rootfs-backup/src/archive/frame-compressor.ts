import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import { linux } from "@aeon/core";

const zlibCompress = promisify(zstdCompress);

/** A compressed frame; its memory is used again once it is released. */
export interface CompressedFrame {
  readonly bytes: Buffer;
  release(): void;
}

interface Slot {
  readonly context: linux.ZstdContext;
  readonly output: Buffer;
}

/**
 * Level 3 for frames of a few megabytes: the matcher of level 2 with the whole frame as its window and a larger table
 * finds as much as level 3's own, which searches twice, in three quarters of its time.
 */
const tunings: ReadonlyMap<number, { readonly base: number; readonly tuning: linux.ZstdTuning }> = new Map([
  [3, { base: 2, tuning: { windowLog: 22, hashLog: 17, minMatch: 6 } }],
]);

/**
 * Makes zstd frames with checksum and size on threads of libuv's pool. One context and output per frame at work are
 * kept, so that steady work allocates nothing.
 */
export class FrameCompressor implements Disposable {
  readonly #level: number;
  readonly #frameSize: number;
  readonly #slots: Slot[] = [];
  readonly #free: Slot[] = [];

  /** `frameSize` is that of the largest frame. */
  constructor(level: number, frameSize: number) {
    this.#level = level;
    this.#frameSize = frameSize;
  }

  /** The frame must not change meanwhile. */
  async compress(frame: Buffer): Promise<CompressedFrame> {
    const slot = this.#free.pop() ?? this.#newSlot();
    if (slot === undefined) return { bytes: await this.#withZlib(frame), release: () => {} };
    const size = await slot.context.compress(frame, slot.output);
    return { bytes: slot.output.subarray(0, size), release: () => void this.#free.push(slot) };
  }

  /** Only when no frame is at work. */
  [Symbol.dispose](): void {
    for (const { context } of this.#slots.splice(0)) context[Symbol.dispose]();
  }

  #newSlot(): Slot | undefined {
    const tuned = tunings.get(this.#level);
    const context = linux.ZstdContext.create(tuned?.base ?? this.#level, tuned?.tuning);
    if (context === undefined) return undefined;
    const slot = { context, output: Buffer.allocUnsafeSlow(linux.ZstdContext.bound(this.#frameSize)) };
    this.#slots.push(slot);
    return slot;
  }

  /** For a Node that does not export its zstd; equal input gives equal bytes there, though not the same as here. */
  #withZlib(frame: Buffer): Promise<Buffer> {
    // Node's types lack `pledgedSrcSize`, which writes the size into the frame's header.
    const tuned = tunings.get(this.#level);
    const options = {
      params: {
        [constants.ZSTD_c_compressionLevel]: tuned?.base ?? this.#level,
        [constants.ZSTD_c_checksumFlag]: 1,
        ...(tuned !== undefined && {
          [constants.ZSTD_c_windowLog]: tuned.tuning.windowLog,
          [constants.ZSTD_c_hashLog]: tuned.tuning.hashLog,
          [constants.ZSTD_c_minMatch]: tuned.tuning.minMatch,
        }),
      },
      pledgedSrcSize: frame.length,
      chunkSize: this.#frameSize,
    };
    return zlibCompress(frame, options);
  }
}
