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
    const context = linux.ZstdContext.create(this.#level);
    if (context === undefined) return undefined;
    const slot = { context, output: Buffer.allocUnsafeSlow(linux.ZstdContext.bound(this.#frameSize)) };
    this.#slots.push(slot);
    return slot;
  }

  /** For a Node that does not export its zstd; equal input gives equal bytes there, though not the same as here. */
  #withZlib(frame: Buffer): Promise<Buffer> {
    // Node's types lack `pledgedSrcSize`, which writes the size into the frame's header.
    const options = {
      params: { [constants.ZSTD_c_compressionLevel]: this.#level, [constants.ZSTD_c_checksumFlag]: 1 },
      pledgedSrcSize: frame.length,
      chunkSize: this.#frameSize,
    };
    return zlibCompress(frame, options);
  }
}
