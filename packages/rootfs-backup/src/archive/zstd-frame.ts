import { errors } from "../errors.ts";

/** Extent of one zstd frame. */
export interface ZstdFrame {
  /** Compressed bytes, header and checksum included. */
  readonly length: number;
  /** Uncompressed bytes, as the header claims. */
  readonly rawLength: number;
}

const magic = 0xfd2fb528;
/** Frames of archives are far smaller; bounds the memory that a forged header can ask for. */
export const largestRaw = 64 * 1024 * 1024;
/** Longer than any frame of that size, compressed or not. */
export const largestStored = 65 * 1024 * 1024;
const dictionaryIdSizes = [0, 1, 2, 4] as const;

/**
 * Measures the frame at the start of `bytes`, or gives undefined when it is not whole yet (RFC 8878, section 3.1.1).
 * Node's decoder silently ignores what follows a frame, so frames have to be cut here. Throws `ARCHIVE_CORRUPT`
 * for anything but a frame with a checksum and a known size.
 */
export function zstdFrame(bytes: Buffer): ZstdFrame | undefined {
  const header = frameHeader(bytes);
  if (header === undefined) return undefined;
  let position = header.size;
  for (let last = false; !last;) {
    if (position > largestStored) throw errors.ARCHIVE_CORRUPT("archive holds a frame that is too large");
    if (bytes.length < position + 3) return undefined;
    const block = bytes.readUIntLE(position, 3);
    const type = (block >> 1) & 3;
    if (type === 3) throw errors.ARCHIVE_CORRUPT("archive holds a malformed frame");
    last = (block & 1) === 1;
    position += 3 + (type === 1 ? 1 : block >> 3);
  }
  const length = position + 4;
  return bytes.length < length ? undefined : { length, rawLength: header.rawLength };
}

function frameHeader(bytes: Buffer): { readonly size: number; readonly rawLength: number } | undefined {
  if (bytes.length < 5) return undefined;
  const descriptor = bytes[4] ?? 0;
  const hasChecksum = (descriptor & 4) !== 0;
  const single = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag;
  if (bytes.readUInt32LE(0) !== magic || !hasChecksum || sizeBytes === 0)
    throw errors.ARCHIVE_CORRUPT("archive does not start with a checksummed zstd frame of known size");
  const sizeOffset = 5 + (single ? 0 : 1) + (dictionaryIdSizes[descriptor & 3] ?? 0);
  if (bytes.length < sizeOffset + sizeBytes) return undefined;
  const rawLength = contentSize(bytes, sizeOffset, sizeBytes);
  if (rawLength > largestRaw) throw errors.ARCHIVE_CORRUPT(`archive holds a frame of ${rawLength} bytes`);
  return { size: sizeOffset + sizeBytes, rawLength };
}

function contentSize(bytes: Buffer, offset: number, length: number): number {
  if (length === 8) return Number(bytes.readBigUInt64LE(offset));
  return length === 2 ? bytes.readUInt16LE(offset) + 256 : bytes.readUIntLE(offset, length);
}
