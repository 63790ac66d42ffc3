import { closeSync, openSync } from "node:fs";
import { libcFunction } from "./libc.ts";
import { showPath, type BytePath } from "./path.ts";

const getdents64 = libcFunction("int64_t getdents64(int fd, void *entries, size_t size)");

/** Enough for the first hundred entries. */
const bufferSize = 4096;
/** Offsets in `struct dirent64` (getdents(2)). */
const lengthAt = 16;
const typeAt = 18;
const nameAt = 19;
const unknownType = 0;

/**
 * Whether a file system tells the type of a directory's entries (d_type), which overlayfs needs. Judged by the
 * first entries of `folder`; undefined when it has none.
 */
export function tellsEntryTypesSync(folder: BytePath): boolean | undefined {
  const buffer = Buffer.alloc(bufferSize);
  const fd = openSync(folder, "r");
  try {
    const end = getdents64.sync(showPath(folder), fd, buffer, bufferSize);
    for (let at = 0; at < end; at += buffer.readUInt16LE(at + lengthAt)) {
      if (isDots(buffer.subarray(at + nameAt))) continue;
      return buffer.readUInt8(at + typeAt) !== unknownType;
    }
    return undefined;
  } finally {
    closeSync(fd);
  }
}

/** `.` and `..` have a type on every file system. */
function isDots(name: Buffer): boolean {
  const text = name.subarray(0, name.indexOf(0)).toString("latin1");
  return text === "." || text === "..";
}
