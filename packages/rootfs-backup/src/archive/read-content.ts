import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { crc32, zstdDecompress } from "node:zlib";
import { errors } from "../errors.ts";
import { ByteReader } from "./byte-reader.ts";
import type { FrameIndex } from "./frame-index.ts";
import { readSparseMap } from "./sparse-map.ts";
import type { TocData, TocEntry } from "./toc-entry.ts";
import { zstdFrame } from "./zstd-frame.ts";

const decompress = promisify(zstdDecompress);

/** Gives a range of the stored layer: exactly `length` bytes, or rejects. */
export type LayerSource = (offset: number, length: number) => Promise<Buffer>;

/**
 * The content of a file, holes as zeros; only the frames that hold it are read. The digest is compared at the end,
 * so the caller has to read to there before trusting it. Empty for what is no file. Throws `ARCHIVE_CORRUPT`.
 */
export async function* readContent(
  source: LayerSource,
  index: FrameIndex,
  entry: TocEntry,
): AsyncGenerator<Buffer, void> {
  if (entry.data === undefined) {
    yield* zeros(entry.type === "file" ? entry.size : 0);
    return;
  }
  const bytes = checked(framesOf(source, index, entry.data), entry.data, entry.path);
  if (entry.data.sparse) yield* withHoles(new StoredData(bytes, entry.data.length), entry.size);
  else yield* bytes;
}

async function* framesOf(
  source: LayerSource,
  index: FrameIndex,
  data: TocData,
): AsyncGenerator<Buffer, void> {
  const end = data.offset + data.length;
  for (let number = index.holding(data.offset), at = data.offset; at < end; number += 1) {
    const { raw, rawOffset } = await readFrame(source, index, number);
    const piece = raw.subarray(at - rawOffset, Math.min(end - rawOffset, raw.length));
    at += piece.length;
    yield piece;
  }
}

/** One frame as stored and unpacked. */
export interface ReadFrame {
  readonly stored: Buffer;
  readonly raw: Buffer;
  /** Of its first byte in the archive. */
  readonly rawOffset: number;
}

/** Reads one frame and checks it against the index. Throws `ARCHIVE_CORRUPT`. */
export async function readFrame(source: LayerSource, index: FrameIndex, number: number): Promise<ReadFrame> {
  const { offset, size, checksum, rawSize, rawOffset } = index.frame(number);
  const stored = await source(offset, size);
  if (stored.length !== size || crc32(stored) !== checksum)
    throw errors.ARCHIVE_CORRUPT(`frame ${number} of the layer is damaged`);
  const last = number === index.count - 1;
  const frame = index.format.open(stored, { number, rawOffset, rawSize, last });
  return { stored, raw: await unpackFrame(frame, rawSize), rawOffset };
}

async function unpackFrame(stored: Buffer, rawSize: number): Promise<Buffer> {
  const frame = zstdFrame(stored);
  if (frame === undefined || frame.length !== stored.length || frame.rawLength !== rawSize)
    throw errors.ARCHIVE_CORRUPT("frame index and layer differ");
  const raw = await decompress(stored, { maxOutputLength: Math.max(rawSize, 1) }).catch((error: unknown) => {
    throw errors.ARCHIVE_CORRUPT("layer holds a frame that does not decompress", { cause: error });
  });
  if (raw.length !== rawSize) throw errors.ARCHIVE_CORRUPT("layer holds a frame that lies about its size");
  return raw;
}

async function* checked(
  pieces: AsyncIterable<Buffer>,
  data: TocData,
  path: Buffer,
): AsyncGenerator<Buffer, void> {
  const hash = createHash("sha256");
  for await (const piece of pieces) {
    hash.update(piece);
    yield piece;
  }
  if (hash.digest("hex") !== data.sha256)
    throw errors.ARCHIVE_CORRUPT(`${path.toString()} in the layer does not have its recorded content`);
}

async function* withHoles(data: StoredData, size: number): AsyncGenerator<Buffer, void> {
  let position = 0;
  for (const { offset, length } of await readSparseMap(data, size)) {
    yield* zeros(offset - position);
    for (let left = length; left > 0;) {
      const piece = await data.some(left);
      left -= piece.length;
      yield piece;
    }
    position = offset + length;
  }
  yield* zeros(size - position);
  await data.end();
}

/** The map and the extents of a sparse file. */
class StoredData {
  readonly #bytes: ByteReader;
  #left: number;

  constructor(pieces: AsyncIterable<Buffer>, length: number) {
    this.#bytes = new ByteReader(pieces);
    this.#left = length;
  }

  async dataExactly(count: number): Promise<Buffer> {
    this.#left -= count;
    return this.#bytes.exactly(count);
  }

  async some(most: number): Promise<Buffer> {
    const piece = await this.#bytes.some(Math.min(most, this.#left));
    if (piece.length === 0) throw errors.ARCHIVE_CORRUPT("layer holds a sparse file without its data");
    this.#left -= piece.length;
    return piece;
  }

  /** Reads to the end, where the digest is compared. */
  async end(): Promise<void> {
    await this.#bytes.skip(this.#left);
    await this.#bytes.some(1);
  }
}

const emptiness = Buffer.alloc(65_536);

function* zeros(count: number): Generator<Buffer, void> {
  for (let left = count; left > 0; left -= emptiness.length) yield emptiness.subarray(0, left);
}
