import { libcFunction } from "./libc.ts";
import { LinuxError } from "./linux-error.ts";

const lseek = libcFunction("int64_t lseek(int fd, int64_t offset, int whence)");
const fallocate = libcFunction("int fallocate(int fd, int mode, int64_t offset, int64_t length)");

const seekData = 3;
const seekHole = 4;
const keepSize = 1;
const punchHole = 2;

/** Offset of the first byte of data at or after `offset`, or undefined when only a hole follows. Moves the file position. */
export async function nextData(fd: number, offset: number): Promise<number | undefined> {
  return atEnd(lseek.async(`descriptor ${fd}`, fd, offset, seekData));
}

/** Offset of the first hole at or after `offset`; the end of the file counts as one. Undefined beyond the end. */
export async function nextHole(fd: number, offset: number): Promise<number | undefined> {
  return atEnd(lseek.async(`descriptor ${fd}`, fd, offset, seekHole));
}

/** As {@link nextData}, on the calling thread. */
export function nextDataSync(fd: number, offset: number): number | undefined {
  return seekSync(fd, offset, seekData);
}

/** As {@link nextHole}, on the calling thread. */
export function nextHoleSync(fd: number, offset: number): number | undefined {
  return seekSync(fd, offset, seekHole);
}

function seekSync(fd: number, offset: number, whence: number): number | undefined {
  try {
    return lseek.sync(`descriptor ${fd}`, fd, offset, whence);
  } catch (error) {
    if (isBeyondEnd(error)) return undefined;
    throw error;
  }
}

const isBeyondEnd = (error: unknown): boolean => error instanceof LinuxError && error.code === "ENXIO";

/** Frees the blocks of a range; it then reads as zeros and the size stays. */
export async function punch(fd: number, offset: number, length: number): Promise<void> {
  await fallocate.async(`descriptor ${fd}`, fd, keepSize | punchHole, offset, length);
}

/** Reserves blocks for a range and extends the file to hold it. Fails with `ENOSPC` before anything is written. */
export async function allocate(fd: number, offset: number, length: number): Promise<void> {
  await fallocate.async(`descriptor ${fd}`, fd, 0, offset, length);
}

async function atEnd(position: Promise<number>): Promise<number | undefined> {
  try {
    return await position;
  } catch (error) {
    if (isBeyondEnd(error)) return undefined;
    throw error;
  }
}
