import type { linux } from "@aeon/core";

/** An extended attribute; names and values are bytes. */
export interface Xattr {
  readonly name: Buffer;
  readonly value: Buffer;
}

/** Types of tar entries that layers use. */
export type TarEntryType = "file" | "link" | "symlink" | "character" | "block" | "directory" | "fifo";

/** One header of a pax archive with its extensions applied. */
export interface TarEntry {
  /** Raw bytes, without a slash at the end. */
  readonly path: Buffer;
  readonly type: TarEntryType;
  /** Permission bits including setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since the epoch; may be negative. */
  readonly mtime: bigint;
  /** Bytes of data that follow the header, a sparse map included; 0 unless `file`. */
  readonly size: number;
  /** For `file` with holes: the length of the file; its data starts with a map of the extents (GNU.sparse 1.0). */
  readonly sparseSize?: number;
  /** Target of a `link` or `symlink`. */
  readonly target?: Buffer;
  readonly device?: linux.DeviceNumber;
  readonly xattrs: readonly Xattr[];
}

/** Unit of tar archives, bytes. */
export const blockSize = 512;
/** Bytes from `size` to the next block. */
export const padding = (size: number): number => (blockSize - (size % blockSize)) % blockSize;
/** The largest extended header that is written or read, bytes. */
export const largestPax = 16 * 1024 * 1024;
