import { createHash, hash, type Hash } from "node:crypto";
import { linux } from "@aeon/core";
import { keptTogether, type FrameWriter } from "./frame-writer.ts";
import { dataExtents, encodeSparseMap, hasHoles, type Extent } from "./sparse-map.ts";
import { padding, type TarEntry } from "./tar-entry.ts";
import { encodeHeader } from "./tar-header.ts";
import type { TocData } from "./toc-entry.ts";

/** An open file and its header, whose size is what the archive will hold whatever happens to the file. */
export interface OpenFile {
  readonly fd: number;
  readonly header: Omit<TarEntry, "size">;
  readonly status: linux.FileStatus;
}

/** What was archived of a file. */
export interface PackedContent {
  readonly data: TocData;
  /** Where the entry starts, when the writer can be rewound to there. */
  readonly start?: number;
}

/**
 * Archives an open file of at least one byte. What it lost meanwhile is replaced by zeros, what it gained is left
 * out.
 */
export async function packContent(
  writer: FrameWriter,
  { fd, header, status }: OpenFile,
): Promise<PackedContent> {
  const entry = { ...header, size: status.size };
  const extents = maybeSparse(status, header) ? dataExtents(fd, status.size) : undefined;
  if (extents !== undefined && hasHoles(extents, status.size)) return packSparse(writer, entry, fd, extents);
  const bytes = encodeHeader(entry);
  return fits(bytes.length + entry.size)
    ? packSmall(writer, bytes, entry, fd)
    : packLarge(writer, bytes, entry, fd);
}

const fits = (size: number): boolean => size <= keptTogether;

/** Nothing is written unless the file could be read. */
function packSmall(writer: FrameWriter, header: Buffer, { size }: TarEntry, fd: number): PackedContent {
  writer.reserve(header.length + size);
  const start = writer.rawSize;
  const room = writer.room();
  const data = room.subarray(header.length, header.length + size);
  readFully(fd, data, 0);
  header.copy(room);
  writer.advance(header.length);
  const place = placeOf(writer, size, false);
  writer.advance(size);
  writer.zeros(padding(size));
  return { data: { ...place, sha256: hash("sha256", data) }, start };
}

async function packLarge(
  writer: FrameWriter,
  header: Buffer,
  { size }: TarEntry,
  fd: number,
): Promise<PackedContent> {
  writer.write(header);
  const place = placeOf(writer, size, false);
  const sum = createHash("sha256");
  await copy(writer, fd, { offset: 0, length: size }, sum);
  writer.zeros(padding(size));
  return { data: { ...place, sha256: sum.digest("hex") } };
}

async function packSparse(
  writer: FrameWriter,
  entry: TarEntry,
  fd: number,
  extents: readonly Extent[],
): Promise<PackedContent> {
  const map = encodeSparseMap(extents, entry.size);
  const size = extents.reduce((total, { length }) => total + length, map.length);
  const header = encodeHeader({ ...entry, size, sparseSize: entry.size });
  const isSmall = fits(header.length + size);
  if (isSmall) writer.reserve(header.length + size);
  const start = writer.rawSize;
  writer.write(header);
  const place = placeOf(writer, size, true);
  const sum = createHash("sha256").update(map);
  writer.write(map);
  for (const extent of extents) await copy(writer, fd, extent, sum);
  writer.zeros(padding(size));
  return { data: { ...place, sha256: sum.digest("hex") }, ...(isSmall && { start }) };
}

const placeOf = (writer: FrameWriter, length: number, sparse: boolean) => ({
  frame: writer.frame,
  offset: writer.rawSize,
  length,
  sparse,
});

async function copy(writer: FrameWriter, fd: number, { offset, length }: Extent, sum: Hash): Promise<void> {
  for (let done = 0; done < length;) {
    const room = writer.room().subarray(0, length - done);
    readFully(fd, room, offset + done);
    sum.update(room);
    writer.advance(room.length);
    done += room.length;
    if (writer.isCongested) await writer.drain();
  }
}

/** Fills the memory; zeros stand for what is not there any more. */
function readFully(fd: number, into: Buffer, offset: number): void {
  for (let done = 0; done < into.length;) {
    const rest = done === 0 ? into : into.subarray(done);
    const count = linux.readAtSync(fd, rest, offset + done);
    if (count === 0) {
      rest.fill(0);
      return;
    }
    done += count;
  }
}

/** Looking for holes costs two calls, so small files whose blocks cover them are not asked. */
const alwaysAsked = 1024 * 1024;
/** Blocks that a file's attributes may take, bytes. */
const xattrBlocks = 8192;

/** Blocks are no proof: those of extended attributes and of extent trees count too. */
function maybeSparse({ size, blocks }: linux.FileStatus, { xattrs }: Pick<TarEntry, "xattrs">): boolean {
  return size > alwaysAsked || blocks * 512 - (xattrs.length > 0 ? xattrBlocks : 0) < size;
}
