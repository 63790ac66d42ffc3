import { linux } from "@aeon/core";
import { errors } from "../errors.ts";
import { blockSize, padding } from "./tar-entry.ts";

/** A range of a file that holds data. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** The ranges of an open file that hold data, in order. */
export function dataExtents(fd: number, size: number): Extent[] {
  const extents: Extent[] = [];
  for (let position = 0; position < size;) {
    const offset = linux.nextDataSync(fd, position);
    if (offset === undefined || offset >= size) break;
    const end = Math.min(linux.nextHoleSync(fd, offset) ?? size, size);
    extents.push({ offset, length: end - offset });
    position = end;
  }
  return extents;
}

/** True when the extents leave something of the file out. */
export const hasHoles = (extents: readonly Extent[], size: number): boolean =>
  extents.reduce((sum, { length }) => sum + length, 0) < size;

/** The map at the start of a sparse file's data (GNU.sparse 1.0): decimal lines, padded to a block. */
export function encodeSparseMap(extents: readonly Extent[], size: number): Buffer {
  const last = extents.at(-1);
  const listed =
    last !== undefined && last.offset + last.length === size
      ? extents
      : [...extents, { offset: size, length: 0 }];
  const lines = [listed.length, ...listed.flatMap(({ offset, length }) => [offset, length])];
  const text = Buffer.from(`${lines.join("\n")}\n`);
  return Buffer.concat([text, Buffer.alloc(padding(text.length))]);
}

/** More than any file system makes of one file, and 64 MiB of memory. */
const mostExtents = 2_000_000;

/** Gives exactly so many bytes of a sparse file's data. */
export interface SparseData {
  dataExactly(count: number): Promise<Buffer>;
}

/** Reads the map at the start of the data. Throws `ARCHIVE_CORRUPT` unless the extents are in order and inside the file. */
export async function readSparseMap(data: SparseData, size: number): Promise<Extent[]> {
  const numbers = decimalLines(data);
  const next = async () => (await numbers.next()).value ?? 0;
  const count = await next();
  if (count > mostExtents) throw errors.ARCHIVE_HOSTILE(`archive holds a sparse file of ${count} extents`);
  const extents: Extent[] = [];
  for (let end = 0; extents.length < count;) {
    const offset = await next();
    const length = await next();
    if (offset < end || offset + length > size)
      throw errors.ARCHIVE_CORRUPT("archive holds a sparse file with a wrong map");
    end = offset + length;
    extents.push({ offset, length });
  }
  return extents;
}

async function* decimalLines(data: SparseData): AsyncGenerator<number, undefined> {
  for (let rest = ""; ;) {
    const lines = (rest + (await data.dataExactly(blockSize)).toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const value = Number(line);
      if (!/^\d{1,16}$/.test(line) || !Number.isSafeInteger(value))
        throw errors.ARCHIVE_CORRUPT("archive holds a sparse file with a malformed map");
      yield value;
    }
    // The last block is filled up with NULs.
    if (!/^\d{0,16}\0*$/.test(rest))
      throw errors.ARCHIVE_CORRUPT("archive holds a sparse file with a malformed map");
  }
}
