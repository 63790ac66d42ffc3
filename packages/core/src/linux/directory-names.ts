import { libcFunction } from "./libc.ts";
import { LinuxError } from "./linux-error.ts";

const getdents64 = libcFunction("int64_t getdents64(int fd, void *entries, size_t size)");
const lseek = libcFunction("int64_t lseek(int fd, int64_t offset, int whence)");

/** Offsets in `struct dirent64` (getdents(2)). */
const lengthAt = 16;
const nameAt = 19;

/** Shared by all calls, which run on one thread and keep nothing in it. */
const entries = (() => {
  let buffer: Buffer | undefined;
  return () => (buffer ??= Buffer.allocUnsafeSlow(65_536));
})();

/**
 * Names in an open directory, in no order, each byte as one character (Latin-1): a million of them take 40 MB
 * where as many buffers take 400. Starts from the first whatever was read before; a deleted directory has none.
 */
export function listNamesSync(fd: number): string[] {
  const buffer = entries();
  const names: string[] = [];
  lseek.sync("descriptor", fd, 0, 0);
  for (;;) {
    const end = nextEntries(fd, buffer);
    if (end === 0) return names;
    for (let at = 0; at < end; at += buffer.readUInt16LE(at + lengthAt)) {
      const name = buffer.toString("latin1", at + nameAt, buffer.indexOf(0, at + nameAt));
      if (name !== "." && name !== "..") names.push(name);
    }
  }
}

/** Bytes of entries that were read; none at the end. */
function nextEntries(fd: number, buffer: Buffer): number {
  try {
    return getdents64.sync("descriptor", fd, buffer, buffer.length);
  } catch (error) {
    if (error instanceof LinuxError && error.code === "ENOENT") return 0;
    throw error;
  }
}
