import { constants } from "node:fs";
import { libcFunction } from "./libc.ts";
import { cString, type BytePath } from "./path.ts";
import type { DeviceNumber } from "./special-file.ts";

const openat = libcFunction("int openat(int directory, void *path, int flags, uint32_t mode)");
const statx = libcFunction("int statx(int directory, void *path, int flags, uint32_t mask, void *status)");
const pread = libcFunction("int64_t pread(int fd, void *bytes, size_t size, int64_t offset)");

const closeOnExec = 0x8_0000;
const noFollow = 0x100;
const emptyPath = 0x1000;
const basicStatus = 0x7ff;

/** Offsets in `struct statx` (statx(2)). */
const at = {
  attributes: 8,
  links: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  inode: 32,
  size: 40,
  blocks: 48,
  changed: 96,
  modified: 112,
  rdevMajor: 128,
  rdevMinor: 132,
  deviceMajor: 136,
  deviceMinor: 140,
} as const;
const statusSize = 256;
const immutableOrAppend = 0x10 | 0x20;

/** What statx(2) tells of a file. Sizes beyond 2^53 do not occur. */
export interface FileStatus {
  /** Type of file: one of `fs.constants.S_IF*`. */
  readonly type: number;
  /** Permission bits including setuid, setgid and sticky. */
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: bigint;
  readonly size: number;
  /** Allocated, in units of 512 bytes. */
  readonly blocks: number;
  /** Nanoseconds since the epoch. */
  readonly modified: bigint;
  /** Last change of the inode, nanoseconds since the epoch. */
  readonly changed: bigint;
  /** What a device file stands for. */
  readonly represents: DeviceNumber;
  /** The file system that holds the file, as one number. */
  readonly device: number;
  /** `chattr +i` or `+a` is set. */
  readonly isProtected: boolean;
}

/** The call's answer; read before the next call. */
const status = Buffer.alloc(statusSize);
const nothing = Buffer.alloc(1);

/** Status of an open file, `O_PATH` ones too. */
export function statDescriptorSync(fd: number): FileStatus {
  statx.sync("descriptor", fd, nothing, emptyPath, basicStatus, status);
  return readStatus();
}

/** Status of an entry of an open directory; a link is not followed. */
export function statAtSync(directory: number, name: BytePath): FileStatus {
  statx.sync(name, directory, cString(name), noFollow, basicStatus, status);
  return readStatus();
}

function readStatus(): FileStatus {
  const mode = status.readUInt16LE(at.mode);
  return {
    type: mode & constants.S_IFMT,
    mode: mode & 0o7777,
    links: status.readUInt32LE(at.links),
    uid: status.readUInt32LE(at.uid),
    gid: status.readUInt32LE(at.gid),
    inode: status.readBigUInt64LE(at.inode),
    size: largeAt(at.size),
    blocks: largeAt(at.blocks),
    modified: timeAt(at.modified),
    changed: timeAt(at.changed),
    represents: { major: status.readUInt32LE(at.rdevMajor), minor: status.readUInt32LE(at.rdevMinor) },
    device: status.readUInt32LE(at.deviceMajor) * 2 ** 32 + status.readUInt32LE(at.deviceMinor),
    isProtected: (status.readUInt32LE(at.attributes) & immutableOrAppend) !== 0,
  };
}

const largeAt = (offset: number): number =>
  status.readUInt32LE(offset) + status.readUInt32LE(offset + 4) * 2 ** 32;
const timeAt = (offset: number): bigint =>
  status.readBigInt64LE(offset) * 1_000_000_000n + BigInt(status.readUInt32LE(offset + 8));

/**
 * Opens an entry of an open directory; close-on-exec is always added. `name` may be a path: use openBeneathSync for
 * one that others chose. Flags are a sum of `fs.constants.O_*` and openFlags, `mode` is subject to the umask.
 */
export function openAtSync(directory: number, name: BytePath, flags: number, mode = 0): number {
  return openat.sync(name, directory, cString(name), flags | closeOnExec, mode);
}

/** Reads at a place of an open file; fewer bytes than asked for only near its end, none beyond. */
export function readAtSync(fd: number, into: Buffer, offset: number): number {
  return pread.sync("descriptor", fd, into, into.length, offset);
}
