import { constants } from "node:fs";
import { libcFunction } from "./libc.ts";
import { cString, showPath, type BytePath } from "./path.ts";

/** openat2(2) has no libc wrapper; its number is the same on every architecture. */
const openat2 = libcFunction(
  "long syscall(long number, int dir, void *path, void *how, size_t size)",
  "openat2",
);
const openat2Number = 437;

/** Flags for {@link openBeneathSync} that `node:fs` does not name; the rest are in `fs.constants`. */
export const openFlags = {
  /** A handle that names a file without opening it: for `fstat`, xattrs, and as a start for other look-ups. */
  path: 0x20_0000,
  closeOnExec: 0x8_0000,
  /** An unnamed file in the directory; see linkDescriptor. */
  temporaryFile: 0x40_0000 | constants.O_DIRECTORY,
} as const;

/** Restrictions of openat2(2) on every component of the path. */
export const resolveFlags = {
  noCrossDevice: 0x01,
  noMagicLinks: 0x02,
  noSymlinks: 0x04,
  /** Nothing may lead out of the directory; absolute paths and links are refused with `EXDEV`. */
  beneath: 0x08,
  /** The directory is the root: absolute paths and links start at it, `..` stops at it. */
  inRoot: 0x10,
} as const;

export interface OpenRequest {
  /** An open directory (`O_PATH` suffices). */
  readonly directory: number;
  readonly path: BytePath;
  /** A sum of `fs.constants.O_*` and {@link openFlags}; close-on-exec is always added. */
  readonly flags: number;
  /** Permissions of a file that is created; subject to the umask. */
  readonly mode?: number;
  /** A sum of {@link resolveFlags}; default `beneath | noMagicLinks`. */
  readonly resolve?: number;
}

const creates = constants.O_CREAT | openFlags.temporaryFile;

function how({ flags, mode, resolve }: OpenRequest): Buffer {
  const buffer = Buffer.alloc(24);
  buffer.writeBigUInt64LE(BigInt(flags | openFlags.closeOnExec), 0);
  buffer.writeBigUInt64LE(BigInt((flags & creates & ~constants.O_DIRECTORY) === 0 ? 0 : (mode ?? 0o600)), 8);
  buffer.writeBigUInt64LE(BigInt(resolve ?? resolveFlags.beneath | resolveFlags.noMagicLinks), 16);
  return buffer;
}

/**
 * Opens a path below an open directory so that nothing in it (links, `..`, a rename meanwhile) leads elsewhere.
 * Returns a descriptor for `node:fs`; close it. Fails with `EXDEV` or `ELOOP` on an escape, `EAGAIN` when a
 * rename raced with `..`.
 */
export function openBeneathSync(request: OpenRequest): number {
  const value = how(request);
  const path = cString(request.path);
  return openat2.sync(showPath(request.path), openat2Number, request.directory, path, value, value.length);
}

/** As {@link openBeneathSync}, off the event loop: for paths on slow disks or flags that wait. */
export function openBeneath(request: OpenRequest): Promise<number> {
  const value = how(request);
  const path = cString(request.path);
  return openat2.async(showPath(request.path), openat2Number, request.directory, path, value, value.length);
}
