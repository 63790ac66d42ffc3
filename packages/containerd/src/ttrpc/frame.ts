import { errors } from "../errors.ts";

/** What a frame is for. */
export const frameType = { request: 1, response: 2, data: 3 } as const;

/** One ttrpc message: ten bytes of header, big-endian, and up to 4 MiB of data. */
export interface Frame {
  readonly streamId: number;
  readonly type: number;
  readonly flags: number;
  /** Undefined when the data was too large and has been skipped. */
  readonly data: Buffer | undefined;
}

/** Most bytes of data that a frame may have. */
export const largestData = 4 << 20;
const headerLength = 10;

/** Writes a frame. Throws `TTRPC_MESSAGE_TOO_LARGE`. */
export function encodeFrame(streamId: number, type: number, data: Uint8Array): Buffer {
  if (data.length > largestData)
    throw errors.TTRPC_MESSAGE_TOO_LARGE(`a message of ${data.length} bytes is more than ttrpc's 4 MiB`);
  const frame = Buffer.allocUnsafe(headerLength + data.length);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(streamId, 4);
  frame.writeUInt8(type, 8);
  frame.writeUInt8(0, 9);
  frame.set(data, headerLength);
  return frame;
}

/** Cuts a stream of bytes into frames, however the bytes arrive. Data above the limit is skipped, not kept. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;
  #skip = 0;

  /** Takes bytes and answers the frames that are complete with them. */
  push(bytes: Buffer): readonly Frame[] {
    const frames: Frame[] = [];
    this.#add(bytes);
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #add(bytes: Buffer): void {
    const skipped = Math.min(this.#skip, bytes.length);
    this.#skip -= skipped;
    if (skipped === bytes.length) return;
    this.#chunks.push(bytes.subarray(skipped));
    this.#length += bytes.length - skipped;
  }

  #next(): Frame | undefined {
    if (this.#length < headerLength) return undefined;
    const header = this.#peek(headerLength);
    const length = header.readUInt32BE(0);
    const head = { streamId: header.readUInt32BE(4), type: header.readUInt8(8), flags: header.readUInt8(9) };
    if (length > largestData) {
      const rest = this.#take(this.#length).subarray(headerLength);
      this.#skip = length;
      this.#add(rest);
      return { ...head, data: undefined };
    }
    if (this.#length < headerLength + length) return undefined;
    return { ...head, data: this.#take(headerLength + length).subarray(headerLength) };
  }

  #peek(length: number): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= length) return first;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }

  #take(length: number): Buffer {
    const all = this.#peek(length);
    const rest = all.subarray(length);
    this.#chunks = rest.length > 0 ? [rest, ...this.#chunks.slice(1)] : this.#chunks.slice(1);
    this.#length -= length;
    return all.subarray(0, length);
  }
}
