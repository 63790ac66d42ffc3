import { LinuxError } from "./linux-error.ts";

/** A file name as Linux has it: bytes without NUL. A string stands for its UTF-8 bytes. */
export type BytePath = string | Buffer;

/** For messages. */
export const showPath = (path: BytePath): string => (typeof path === "string" ? path : path.toString());

/** The NUL-terminated form. Throws `EINVAL` for a path with NUL in it, which libc would silently cut. */
export function cString(value: BytePath): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  if (bytes.includes(0)) throw new LinuxError("EINVAL", "path", showPath(value).replaceAll("\0", "\\0"));
  const terminated = Buffer.allocUnsafe(bytes.length + 1);
  bytes.copy(terminated);
  terminated[bytes.length] = 0;
  return terminated;
}

const slash = 0x2f;

/**
 * A path for Node's own file functions that means entry `name` of the open directory, or the open file itself
 * without one; no rename or link elsewhere can redirect it. The last component may still be a link: use
 * functions that do not follow it. Throws `EINVAL` unless `name` is a single component. Needs /proc.
 */
export function descriptorPath(fd: number, name?: BytePath): Buffer {
  const base = Buffer.from(`/proc/self/fd/${fd}`);
  if (name === undefined) return base;
  const bytes = typeof name === "string" ? Buffer.from(name) : name;
  const text = bytes.toString("latin1");
  if (text === "" || text === "." || text === ".." || bytes.includes(slash) || bytes.includes(0))
    throw new LinuxError("EINVAL", "descriptorPath", showPath(name).replaceAll("\0", "\\0"));
  return Buffer.concat([base, Buffer.from("/"), bytes]);
}
