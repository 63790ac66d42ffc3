import { libcFunction } from "./libc.ts";
import { cString, showPath, type BytePath } from "./path.ts";

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
  utimensat.sync(showPath(path), atCwd, cString(path), timespecs(times), noFollow);
}

/** Sets times of an open file to the nanosecond. Not for `O_PATH` descriptors. */
export function setDescriptorTimesSync(fd: number, times: FileTimes): void {
  futimens.sync(`descriptor ${fd}`, fd, timespecs(times));
}

function timespecs({ accessed, modified }: FileTimes): Buffer {
  const buffer = Buffer.alloc(32);
  for (const [index, time] of [accessed, modified].entries()) {
    const nanoseconds = time === undefined ? omit : ((time % second) + second) % second;
    const seconds = time === undefined ? 0n : (time - nanoseconds) / second;
    buffer.writeBigInt64LE(seconds, index * 16);
    buffer.writeBigInt64LE(nanoseconds, index * 16 + 8);
  }
  return buffer;
}
