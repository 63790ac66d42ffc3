import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BlobDescriptor } from "../archive/blob-descriptor.ts";
import type { EncryptionKey } from "../archive/encryption-key.ts";
import { layerFormats } from "../archive/frame-format.ts";
import { FrameIndex } from "../archive/frame-index.ts";
import type { LayerBlob } from "../archive/layer-file.ts";
import { readToc } from "../archive/toc-reader.ts";
import type { TocEntry } from "../archive/toc-entry.ts";
import { errors } from "../errors.ts";
import { digestOf } from "../store/digest.ts";

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** What is known of a blob before it is read. */
export type BlobFacts = Pick<BlobDescriptor, "digest" | "size">;

/** Gives a range of a stored blob: exactly `length` bytes, or rejects. */
export type ReadBlob = (blob: BlobFacts, range: ByteRange) => Promise<Buffer>;

const pieceSize = 8 * 1024 * 1024;

/** Streams a blob in order, unverified; a store is asked for at most 8 MiB at a time. */
export async function* streamBlob(
  read: ReadBlob,
  blob: BlobFacts,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  for (let offset = 0; offset < blob.size; offset += pieceSize) {
    signal.throwIfAborted();
    yield await read(blob, { offset, length: Math.min(pieceSize, blob.size - offset) });
  }
}

/** Frames of a layer of 64 TiB fit. */
const largestIndex = 256 * 1024 * 1024;

/**
 * Reads and checks the frame index of a layer. Throws `BACKUP_DAMAGED`, `ARCHIVE_CORRUPT`, or `ENCRYPTION_KEY_MISSING` when
 * it is encrypted with none of the keys.
 */
export async function readIndex(
  read: ReadBlob,
  { digest, index, size, rawSize, cipher }: LayerBlob,
  keys: readonly EncryptionKey[] = [],
): Promise<FrameIndex> {
  const formats = layerFormats(cipher, keys);
  if (index.size > largestIndex)
    throw errors.BACKUP_DAMAGED(`frame index ${index.digest} of ${index.size} bytes is too large`);
  const bytes = await read(index, { offset: 0, length: index.size });
  if (digestOf(bytes) !== index.digest)
    throw errors.BACKUP_DAMAGED(`frame index ${index.digest} does not have its content`, {
      details: { digest: index.digest },
    });
  const frames = FrameIndex.parse(bytes, formats);
  if (frames.size !== size || frames.rawSize !== rawSize)
    throw errors.BACKUP_DAMAGED(
      `frame index ${index.digest} is of another layer than ${digest}: it is for ${frames.size} bytes, not ${size}`,
      { details: { digest } },
    );
  return frames;
}

/** Streams the table of contents of a layer, in the layer's order; nothing else of the layer is read. */
export async function* readContents(
  read: ReadBlob,
  { toc, cipher }: Pick<LayerBlob, "toc" | "cipher">,
  signal: AbortSignal,
  keys: readonly EncryptionKey[] = [],
): AsyncGenerator<TocEntry, void> {
  const formats = layerFormats(cipher, keys);
  const folder = await mkdtemp(join(tmpdir(), "aeon-toc-"));
  try {
    const path = join(folder, "toc");
    {
      await using file = await open(path, "wx", 0o600);
      for await (const piece of streamBlob(read, toc, signal)) await file.write(piece);
    }
    yield* readToc(path, toc, formats.toc);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
