import { Readable } from "node:stream";
import { malformed } from "../refusal.ts";

/** Bytes of an archive that tell what it is. */
export const blockSize = 512;

/**
 * Unpacks a compressed tar, so that dockerd never starts a decompressor itself: gzip and zstd are unpacked here, anything
 * else is refused (400). `start` is its first block.
 */
export async function unpackTar(start: Buffer, stream: Readable): Promise<Readable> {
  const unpack = decompressorFor(start);
  if (unpack === undefined)
    throw malformed("", "the body has to be a tar, plain or compressed with gzip or zstd", "archive-format");
  stream.on("error", (error) => unpack.destroy(error));
  const plain = await peek(stream.pipe(unpack), blockSize);
  if (plain.start.length > 0 && !isTarHeader(plain.start))
    throw malformed("", "what is compressed is no tar", "archive-format");
  return plain.stream;
}

/** Node's part for it costs 2 MB, which a pod that copies nothing does without. */
function decompressorFor(start: Buffer) {
  const { createGunzip, createZstdDecompress } = process.getBuiltinModule("node:zlib");
  if (start[0] === 0x1f && start[1] === 0x8b) return createGunzip();
  return start.length >= 4 && start.readUInt32LE(0) === 0xfd_2f_b5_28 ? createZstdDecompress() : undefined;
}

interface Peeked {
  readonly start: Buffer;
  /** The whole, from its first byte. */
  readonly stream: Readable;
}

/** Reads the first bytes and puts them back. */
async function peek(source: Readable, size: number): Promise<Peeked> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let held = Buffer.alloc(0);
  const read = (): void => {
    for (let chunk: unknown = source.read(); Buffer.isBuffer(chunk); chunk = source.read()) {
      held = Buffer.concat([held, chunk]);
      if (held.length >= size) {
        resolve(held);
        return;
      }
    }
  };
  const ended = (): void => resolve(held);
  source.on("readable", read).on("end", ended).on("error", reject);
  try {
    read();
    const bytes = await promise;
    const start = bytes.subarray(0, size);
    if (source.readableEnded) return { start, stream: Readable.from(bytes.length > 0 ? [bytes] : []) };
    if (bytes.length > 0) source.unshift(bytes);
    return { start, stream: source };
  } catch (error) {
    throw malformed(
      "",
      `the archive cannot be read (${error instanceof Error ? error.message : "failed"})`,
      "archive-format",
    );
  } finally {
    source.off("readable", read).off("end", ended).off("error", reject);
  }
}

/** How gzip, bzip2, xz and zstd begin. dockerd unpacks what begins so, even where it is the name of a tar's first file. */
const compressed = [
  [0x1f, 0x8b, 0x08],
  [0x42, 0x5a, 0x68],
  [0xfd, 0x37, 0x7a, 0x58, 0x5a],
  [0x28, 0xb5, 0x2f, 0xfd],
].map((bytes) => Buffer.from(bytes));
/** Frames of zstd that its readers skip; the first byte is any from 0x50 to 0x5f. */
const skipped = Buffer.from([0x2a, 0x4d, 0x18]);

const looksCompressed = (start: Buffer): boolean =>
  compressed.some((magic) => start.subarray(0, magic.length).equals(magic)) ||
  (((start[0] ?? 0) & 0xf0) === 0x50 && start.subarray(1, 4).equals(skipped));

/** A block of zeros ends an archive; otherwise its checksum has to be right. */
export function isTarHeader(start: Buffer): boolean {
  if (start.length < blockSize || looksCompressed(start)) return false;
  const block = start.subarray(0, blockSize);
  if (block.every((byte) => byte === 0)) return true;
  const stored = Number.parseInt(block.toString("latin1", 148, 156).replaceAll(/[\0 ]/g, ""), 8);
  let sum = 0;
  for (let index = 0; index < blockSize; index += 1)
    sum += index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
  return sum === stored;
}
