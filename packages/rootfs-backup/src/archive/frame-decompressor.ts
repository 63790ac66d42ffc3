import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { linux } from "@aeon/core";
import { errors } from "../errors.ts";

const zlibDecompress = promisify(zstdDecompress);

/** The least that node:zlib takes. */
const smallestChunk = 64;

/** An unpacked frame; its memory is used again once it is released. */
export interface UnpackedFrame {
  readonly bytes: Buffer;
  release(): void;
}

/**
 * Unpacks frames on threads of libuv's pool, with one context per frame at work. Memory of frames that were released
 * is used for others, so that steady work allocates nothing.
 */
export class FrameDecompressor implements Disposable {
  readonly #readers: linux.ZstdReader[] = [];
  readonly #idle: linux.ZstdReader[] = [];
  readonly #free: Buffer[] = [];

  /** The frame must not change meanwhile. Rejects with `ARCHIVE_CORRUPT` unless it has exactly that many bytes. */
  async unpack(frame: Buffer, rawLength: number): Promise<UnpackedFrame> {
    const reader = this.#idle.pop() ?? this.#newReader();
    const memory = this.#memory(rawLength);
    const unpacking =
      reader === undefined
        ? copyWithZlib(frame, memory, rawLength)
        : reader.decompress(frame, memory.subarray(0, rawLength));
    const size = await unpacking
      .catch((error: unknown) => {
        throw errors.ARCHIVE_CORRUPT("archive holds a frame that does not decompress", { cause: error });
      })
      .finally(() => reader && this.#idle.push(reader));
    if (size !== rawLength)
      throw errors.ARCHIVE_CORRUPT(`archive holds a frame of ${size} bytes that claims ${rawLength}`);
    return { bytes: memory.subarray(0, rawLength), release: () => void this.#free.push(memory) };
  }

  /** Only when no frame is at work. */
  [Symbol.dispose](): void {
    for (const reader of this.#readers.splice(0)) reader[Symbol.dispose]();
  }

  #newReader(): linux.ZstdReader | undefined {
    const reader = linux.ZstdReader.create();
    if (reader !== undefined) this.#readers.push(reader);
    return reader;
  }

  #memory(size: number): Buffer {
    const at = this.#free.findIndex(({ length }) => length >= size);
    const [memory] = at < 0 ? [] : this.#free.splice(at, 1);
    return memory ?? Buffer.allocUnsafeSlow(Math.max(size, 1));
  }
}

/** For a Node that does not export its zstd. */
async function copyWithZlib(frame: Buffer, to: Buffer, rawLength: number): Promise<number> {
  const room = Math.max(rawLength, 1);
  // One piece of output: the usual 16 KiB would be joined in the end.
  const options = { maxOutputLength: room, chunkSize: Math.max(room, smallestChunk) };
  return (await zlibDecompress(frame, options)).copy(to);
}
