import { libcFunction } from "./libc.ts";
import { cString, type BytePath } from "./path.ts";

const utimensat = libcFunction("int utimensat(int directory, void *path, void *times, int flags)");
const futimens = libcFunction("int futimens(int fd, void *times)");

const atCwd = -100;
const noFollow = 0x100;
/** UTIME_OMIT of utimensat(2). */
const omit = 0x3ffffffen;
const second = 1_000_000_000n;

export interface FileTimes {
  /** Nanoseconds since the epoch, negative before it; absent: unchanged. */
  readonly accessed?: bigint;
  readonly modified?: bigint;
}

/** Sets times to the nanosecond, without following a link at the end of `path`. */
export function setTimesSync(path: BytePath, times: FileTimes): void {
  utimensat.sync(path, atCwd, cString(path), timespecs(times), noFollow);
}

/** Sets times of an open file to the nanosecond. Not for `O_PATH` descriptors. */
export function setDescriptorTimesSync(fd: number, times: FileTimes): void {
  futimens.sync("descriptor", fd, timespecs(times));
}

/** The call's argument; filled right before it. */
const timespec = Buffer.alloc(32);

function timespecs({ accessed, modified }: FileTimes): Buffer {
  putTime(0, accessed);
  putTime(16, modified);
  return timespec;
}

function putTime(offset: number, time: bigint | undefined): void {
  const nanoseconds = time === undefined ? omit : ((time % second) + second) % second;
  timespec.writeBigInt64LE(time === undefined ? 0n : (time - nanoseconds) / second, offset);
  timespec.writeBigInt64LE(nanoseconds, offset + 8);
}
