import { createHash } from "node:crypto";
import { read } from "node:fs";
import { promisify } from "node:util";
import { linux } from "@aeon/core";
import { errors } from "../errors.ts";
import type { BlobDescriptor } from "./blob-descriptor.ts";
import { FrameDecompressor, type UnpackedFrame } from "./frame-decompressor.ts";
import { plainFrames, type FrameFormat } from "./frame-format.ts";
import type { WrittenBlob } from "./frame-writer.ts";

const readFile = promisify(read);

/** Frames decompressed ahead of the reader. */
const ahead = 2;
const chunkSize = 4 * 1024 * 1024;

export interface FrameOptions {
  /**
   * Uses the memory of a frame again when the second one after it is asked for: the caller keeps nothing of it. Spares
   * the kernel from giving out new memory for every frame.
   */
  readonly reuse?: boolean;
}

/**
 * Reads and decompresses a blob of an open file and checks all that is known of it. The caller must read to the
 * end before trusting anything: only then have the sizes and both digests been compared.
 * Throws `ARCHIVE_CORRUPT` on any difference.
 */
export async function* readFrames(
  fd: number,
  expected: WrittenBlob,
  format: FrameFormat = plainFrames,
  options: FrameOptions = {},
): AsyncGenerator<Buffer, void> {
  const raw = new linux.BackgroundSha256();
  let [rawSize, hashed] = [0, Promise.resolve()];
  for await (const frame of readStoredFrames(fd, expected, format, options)) {
    rawSize += frame.length;
    if (rawSize > expected.rawSize)
      throw errors.ARCHIVE_CORRUPT(`archive is longer than the recorded ${expected.rawSize} bytes`);
    // At most one frame waits for its digest while another is unpacked.
    await hashed;
    hashed = raw.update(frame);
    yield frame;
  }
  const diffId = `sha256:${await raw.digest()}`;
  if (rawSize !== expected.rawSize || diffId !== expected.diffId)
    throw errors.ARCHIVE_CORRUPT(
      `archive is ${diffId} of ${rawSize} bytes, expected ${expected.diffId} of ${expected.rawSize}`,
    );
}

/** A blob's digest and size. */
type Expected = Pick<BlobDescriptor, "digest" | "size">;

/** Reads and decompresses a blob of an open file, whose digest and size are compared at the end. */
export async function* readStoredFrames(
  fd: number,
  expected: Expected,
  format: FrameFormat = plainFrames,
  { reuse = false }: FrameOptions = {},
): AsyncGenerator<Buffer, void> {
  const decompressor = new FrameDecompressor();
  const queue: Promise<UnpackedFrame>[] = [];
  let last: UnpackedFrame | undefined;
  const next = async (): Promise<UnpackedFrame | undefined> => {
    const frame = await queue.shift();
    if (reuse) last?.release();
    last = frame;
    return frame;
  };
  try {
    for await (const { bytes, rawLength, keepFor } of storedFrames(fd, expected, format)) {
      const frame = decompressor.unpack(bytes, rawLength);
      keepFor(frame);
      // Handled where it is awaited; until then it must not end the process.
      frame.catch(() => {});
      queue.push(frame);
      if (queue.length <= ahead) continue;
      const unpacked = await next();
      if (unpacked !== undefined) yield unpacked.bytes;
    }
    for (let frame = await next(); frame !== undefined; frame = await next()) yield frame.bytes;
  } finally {
    await Promise.allSettled(queue);
    decompressor[Symbol.dispose]();
  }
}

/** Compares an open file with what it should be. Throws `ARCHIVE_CORRUPT`. */
export async function verifyFile(fd: number, expected: Expected): Promise<void> {
  const stored = createHash("sha256");
  const chunk = Buffer.allocUnsafe(chunkSize);
  let size = 0;
  for (;;) {
    const { bytesRead } = await readFile(fd, chunk, 0, chunkSize, size);
    if (bytesRead === 0) break;
    stored.update(chunk.subarray(0, bytesRead));
    size += bytesRead;
  }
  compare({ digest: `sha256:${stored.digest("hex")}`, size }, expected);
}

function compare(found: Expected, expected: Expected): void {
  if (found.size !== expected.size || found.digest !== expected.digest)
    throw errors.ARCHIVE_CORRUPT(
      `blob is ${found.digest} of ${found.size} bytes, expected ${expected.digest} of ${expected.size} bytes`,
    );
}

interface StoredFrame {
  readonly bytes: Buffer;
  readonly rawLength: number;
  /** Keeps the bytes as they are until the work on them has ended. */
  readonly keepFor: (work: Promise<unknown>) => void;
}

/** Memory that a part of the file is read into, and what still reads from it. */
interface Window {
  memory: Buffer;
  users: Promise<unknown>[];
}

/** Frames of two may be at work while another one is read into. */
const windowCount = 3;

async function* storedFrames(
  fd: number,
  expected: Expected,
  format: FrameFormat,
): AsyncGenerator<StoredFrame, void> {
  const stored = new linux.BackgroundSha256();
  const taken = { frames: 0, stored: 0, raw: 0 };
  let [size, hashed] = [0, Promise.resolve()];
  let pending: Buffer = Buffer.alloc(0);
  const windows = Array.from({ length: windowCount }, (): Window => ({ memory: pending, users: [] }));
  for (;;) {
    const window = await nextWindow(windows, pending);
    const { bytesRead } = await readFile(fd, window.memory, pending.length, chunkSize, size);
    if (bytesRead === 0) break;
    const chunk = window.memory.subarray(pending.length, pending.length + bytesRead);
    await hashed;
    hashed = stored.update(chunk);
    size += bytesRead;
    if (size > expected.size) break;
    pending = window.memory.subarray(0, pending.length + bytesRead);
    const keepFor = (work: Promise<unknown>): void => void window.users.push(work);
    for (let frame = format.measure(pending); frame !== undefined; frame = format.measure(pending)) {
      const { length, rawLength } = frame;
      taken.stored += length;
      const last = taken.stored === expected.size;
      const place = { number: taken.frames, rawOffset: taken.raw, rawSize: rawLength, last };
      yield { bytes: format.open(pending.subarray(0, length), place), rawLength, keepFor };
      taken.frames += 1;
      taken.raw += rawLength;
      pending = pending.subarray(length);
    }
  }
  compare({ digest: `sha256:${await stored.digest()}`, size }, expected);
  if (pending.length > 0) throw errors.ARCHIVE_CORRUPT("archive ends inside a frame");
}

/** The window that was used least lately, free again and with room for a chunk after the start of a frame. */
async function nextWindow(windows: Window[], start: Buffer): Promise<Window> {
  const window = windows.shift() ?? { memory: start, users: [] };
  windows.push(window);
  await Promise.allSettled(window.users);
  window.users = [];
  const needed = start.length + chunkSize;
  const { length } = window.memory;
  if (length < needed || length > 4 * needed) window.memory = Buffer.allocUnsafeSlow(needed);
  start.copy(window.memory);
  return window;
}
