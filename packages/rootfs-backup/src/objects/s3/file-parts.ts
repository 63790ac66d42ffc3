import type { FileHandle } from "node:fs/promises";
import { linux } from "@aeon/core";
import { errors } from "../../errors.ts";
import type { Payload } from "./s3-client.ts";
import type { ByteRange } from "./small-objects.ts";

/** A store takes this many parts of an upload at most. */
const maxParts = 10_000;
const mebibyte = 1 << 20;
/** Read while the one before is hashed. */
const sliceSize = 4 * mebibyte;

/** One part of an upload; numbers count from 1. */
export interface FilePart extends ByteRange {
  readonly number: number;
}

/** Bytes of each part but the last one: as configured, or more where the file would have too many parts. */
export const partSizeFor = (size: number, configured: number): number =>
  Math.max(configured, Math.ceil(size / maxParts / mebibyte) * mebibyte);

/** Cuts a file into parts of equal size; the last one may be shorter. */
export const partsOf = (size: number, partSize: number): readonly FilePart[] =>
  Array.from({ length: Math.ceil(size / partSize) }, (_, index) => ({
    number: index + 1,
    offset: index * partSize,
    length: Math.min(partSize, size - index * partSize),
  }));

/** Memory of parts, taken again by later ones of the upload: the kernel has to clear fresh memory page by page. */
export class PartMemory {
  readonly #free: Buffer[] = [];

  take(length: number): Buffer {
    const memory = this.#free.pop();
    // Not from Node's pool, of which a slice would keep more alive.
    return memory !== undefined && memory.length >= length ? memory : Buffer.allocUnsafeSlow(length);
  }

  /** Only once nothing reads or fills it any more. */
  give(memory: Buffer): void {
    this.#free.push(memory);
  }
}

/** Reads a range of a file into `memory`, which has to be as long, and hashes it, both on threads of libuv's pool. */
export async function readPart(
  file: FileHandle,
  { offset, length }: ByteRange,
  memory: Buffer,
): Promise<Payload> {
  const bytes = memory.subarray(0, length);
  const sum = new linux.BackgroundSha256();
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, Math.min(sliceSize, length - done), offset + done);
    if (bytesRead === 0) throw errors.BACKUP_DAMAGED(`a file to be stored ends ${length - done} bytes early`);
    void sum.update(bytes.subarray(done, done + bytesRead));
    done += bytesRead;
  }
  return { bytes, sha256: await sum.digest() };
}
