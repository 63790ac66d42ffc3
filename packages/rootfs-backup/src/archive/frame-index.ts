import { crc32 } from "node:zlib";
import { errors } from "../errors.ts";
import {
  plainFrames,
  type FrameFormat,
  type FramePlace,
  type LayerFormats,
  type SealedFrames,
} from "./frame-format.ts";

/** Where one frame is, in the stored blob and in the archive inside it. */
export interface Frame {
  readonly offset: number;
  readonly size: number;
  readonly rawOffset: number;
  readonly rawSize: number;
  /** CRC-32 of the stored bytes: against bad transfers, not against forgers. */
  readonly checksum: number;
}

const magic = Buffer.from("AEONIDX1");
/** Stored size, raw size and checksum, each 32 bits, little endian. */
const recordSize = 12;
/** Fits an archive of 16 TiB in frames of 4 MiB, and an encrypted index in one frame. */
const mostFrames = 5 * 1024 * 1024;

const onlyFrame = (rawSize: number): FramePlace => ({ number: 0, rawOffset: 0, rawSize, last: true });

/** Collects the frames of a blob while it is written. */
export class FrameIndexWriter {
  #bytes = Buffer.alloc(64 * recordSize);
  #used = 0;

  add(stored: Buffer, rawSize: number): void {
    if (this.#used === this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#used)]);
    this.#bytes.writeUInt32LE(stored.length, this.#used);
    this.#bytes.writeUInt32LE(rawSize, this.#used + 4);
    this.#bytes.writeUInt32LE(crc32(stored), this.#used + 8);
    this.#used += recordSize;
  }

  /** The index blob: a magic number, then a record per frame; all of it as one frame when it is encrypted. */
  encode(seal?: SealedFrames): Buffer {
    const bytes = Buffer.concat([magic, this.#bytes.subarray(0, this.#used)]);
    return seal?.seal(bytes, onlyFrame(bytes.length)) ?? bytes;
  }
}

/** The frames of a blob; finds the one that holds a byte of the archive. */
export class FrameIndex {
  readonly #bytes: Buffer;
  /** Where each frame starts, stored and raw; one more for the end. */
  readonly #offsets: Float64Array;
  readonly #rawOffsets: Float64Array;

  /** Of the frames that it lists. */
  readonly format: FrameFormat;

  private constructor(bytes: Buffer, format: FrameFormat) {
    this.#bytes = bytes;
    this.format = format;
    const count = bytes.length / recordSize;
    this.#offsets = new Float64Array(count + 1);
    this.#rawOffsets = new Float64Array(count + 1);
    for (let frame = 0; frame < count; frame += 1) {
      const [size, rawSize] = [
        bytes.readUInt32LE(frame * recordSize),
        bytes.readUInt32LE(frame * recordSize + 4),
      ];
      if (size === 0 || rawSize === 0) throw errors.ARCHIVE_CORRUPT("frame index holds an empty frame");
      this.#offsets[frame + 1] = (this.#offsets[frame] ?? 0) + size;
      this.#rawOffsets[frame + 1] = (this.#rawOffsets[frame] ?? 0) + rawSize;
    }
  }

  /** Reads an index blob. Throws `ARCHIVE_CORRUPT`. */
  static parse(stored: Buffer, formats?: LayerFormats): FrameIndex {
    const bytes = formats === undefined ? stored : openIndex(stored, formats);
    const records = bytes.subarray(magic.length);
    const whole = records.length % recordSize === 0 && records.length / recordSize <= mostFrames;
    if (!bytes.subarray(0, magic.length).equals(magic) || !whole)
      throw errors.ARCHIVE_CORRUPT("frame index is not in the form that aeon writes");
    return new FrameIndex(records, formats?.layer ?? plainFrames);
  }

  get count(): number {
    return this.#offsets.length - 1;
  }

  /** Bytes of all stored frames. */
  get size(): number {
    return this.#offsets.at(-1) ?? 0;
  }

  /** Bytes of the archive. */
  get rawSize(): number {
    return this.#rawOffsets.at(-1) ?? 0;
  }

  frame(number: number): Frame {
    const offset = this.#offsets[number];
    const rawOffset = this.#rawOffsets[number];
    if (offset === undefined || rawOffset === undefined || number >= this.count)
      throw errors.ARCHIVE_CORRUPT(`frame index has no frame ${number}`);
    const at = number * recordSize;
    return {
      offset,
      rawOffset,
      size: this.#bytes.readUInt32LE(at),
      rawSize: this.#bytes.readUInt32LE(at + 4),
      checksum: this.#bytes.readUInt32LE(at + 8),
    };
  }

  /** The number of the frame that holds this byte of the archive. Throws `ARCHIVE_CORRUPT` beyond its end. */
  holding(rawOffset: number): number {
    if (!(rawOffset >= 0 && rawOffset < this.rawSize))
      throw errors.ARCHIVE_CORRUPT(`archive of ${this.rawSize} bytes has no byte ${rawOffset}`);
    let [low, high] = [0, this.count - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#rawOffsets[middle] ?? 0) <= rawOffset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function openIndex(stored: Buffer, { index }: LayerFormats): Buffer {
  if (index === plainFrames) return stored;
  const frame = index.measure(stored);
  if (frame?.length !== stored.length) throw errors.ARCHIVE_CORRUPT("frame index is not whole");
  return index.open(stored, onlyFrame(frame.rawLength));
}
