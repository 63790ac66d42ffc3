import { libcFunction, type CValue, type LibcFunction } from "./libc.ts";
import { LinuxError } from "./linux-error.ts";
import { cString, descriptorPath, showPath, type BytePath } from "./path.ts";

/** A path, whose last component is not followed, or an open descriptor (`O_PATH` ones too). */
export type XattrTarget = BytePath | number;

/** xattr(7): the largest value and the largest list of names, bytes. */
const largest = 65_536;
/** Enough for nearly every value, so that concurrent calls do not each hold the largest buffer. */
const usual = 1024;

interface XattrFunctions {
  readonly list: LibcFunction;
  readonly get: LibcFunction;
  readonly set: LibcFunction;
  readonly remove: LibcFunction;
}

const declare = (prefix: string, target = "void *path"): XattrFunctions => ({
  list: libcFunction(`long ${prefix}listxattr(${target}, void *list, size_t size)`),
  get: libcFunction(`long ${prefix}getxattr(${target}, void *name, void *value, size_t size)`),
  set: libcFunction(`int ${prefix}setxattr(${target}, void *name, void *value, size_t size, int flags)`),
  remove: libcFunction(`int ${prefix}removexattr(${target}, void *name)`),
});
const ofLink = declare("l");
/** On /proc/self/fd/N following leads to the open file itself, and unlike fgetxattr it works for O_PATH. */
const ofDescriptor = declare("");
/** Three times as fast, but not for `O_PATH`. */
const ofOpenFile = declare("f", "int fd");

const create = 1;
const replace = 2;
/** `create` fails with `EEXIST` when the attribute is there, `replace` with `ENODATA` when it is not. */
export type XattrSetMode = "any" | "create" | "replace";
const setFlags = (mode: XattrSetMode): number =>
  mode === "create" ? create : mode === "replace" ? replace : 0;

interface Resolved {
  readonly calls: XattrFunctions;
  readonly path: Buffer | number;
  readonly subject: string;
}

function resolve(target: XattrTarget): Resolved {
  if (typeof target !== "number") return { calls: ofLink, path: cString(target), subject: showPath(target) };
  const path = descriptorPath(target);
  return { calls: ofDescriptor, path: cString(path), subject: path.toString() };
}

/** An open file is asked directly; only what was opened with `O_PATH` has to be found through /proc. */
function quickly<T>(target: XattrTarget, work: (resolved: Resolved) => T): T {
  if (typeof target !== "number") return work(resolve(target));
  try {
    return work({ calls: ofOpenFile, path: target, subject: "descriptor" });
  } catch (error) {
    if (!hasCode(error, "EBADF")) throw error;
    return work(resolve(target));
  }
}

/** Shared by all synchronous calls; what is returned is a copy. */
const scratch = (() => {
  let buffer: Buffer | undefined;
  return () => (buffer ??= Buffer.allocUnsafeSlow(largest));
})();

/** Names of all extended attributes that the caller may see; empty where the file system has none. */
export function listXattrsSync(target: XattrTarget): Buffer[] {
  const buffer = scratch();
  return noneIfUnsupported(() =>
    splitNames(
      buffer,
      quickly(target, ({ calls, path, subject }) => calls.list.sync(subject, path, buffer, largest)),
    ),
  );
}

export async function listXattrs(target: XattrTarget): Promise<Buffer[]> {
  const { calls, path, subject } = resolve(target);
  try {
    const names = await read(calls.list, subject, path);
    return splitNames(names, names.length);
  } catch (error) {
    return noneIfUnsupported(() => {
      throw error;
    });
  }
}

/** The value, or undefined when the file has no such attribute. */
export function getXattrSync(target: XattrTarget, name: BytePath): Buffer | undefined {
  const buffer = scratch();
  return undefinedIfAbsent(() => {
    const size = quickly(target, ({ calls, path, subject }) =>
      calls.get.sync(`${subject}: ${showPath(name)}`, path, cString(name), buffer, largest),
    );
    return Buffer.from(buffer.subarray(0, size));
  });
}

export async function getXattr(target: XattrTarget, name: BytePath): Promise<Buffer | undefined> {
  const { calls, path, subject } = resolve(target);
  try {
    return await read(calls.get, `${subject}: ${showPath(name)}`, path, cString(name));
  } catch (error) {
    return undefinedIfAbsent(() => {
      throw error;
    });
  }
}

export function setXattrSync(
  target: XattrTarget,
  name: BytePath,
  value: Buffer,
  mode: XattrSetMode = "any",
): void {
  quickly(target, ({ calls, path, subject }) =>
    calls.set.sync(`${subject}: ${showPath(name)}`, path, cString(name), value, value.length, setFlags(mode)),
  );
}

export async function setXattr(
  target: XattrTarget,
  name: BytePath,
  value: Buffer,
  mode: XattrSetMode = "any",
): Promise<void> {
  const { calls, path, subject } = resolve(target);
  await calls.set.async(
    `${subject}: ${showPath(name)}`,
    path,
    cString(name),
    value,
    value.length,
    setFlags(mode),
  );
}

/** Fails with `ENODATA` when the file has no such attribute. */
export function removeXattrSync(target: XattrTarget, name: BytePath): void {
  const { calls, path, subject } = resolve(target);
  calls.remove.sync(`${subject}: ${showPath(name)}`, path, cString(name));
}

export async function removeXattr(target: XattrTarget, name: BytePath): Promise<void> {
  const { calls, path, subject } = resolve(target);
  await calls.remove.async(`${subject}: ${showPath(name)}`, path, cString(name));
}

async function read(call: LibcFunction, subject: string, ...values: CValue[]): Promise<Buffer> {
  const small = Buffer.allocUnsafe(usual);
  try {
    return small.subarray(0, await call.async(subject, ...values, small, usual));
  } catch (error) {
    if (!hasCode(error, "ERANGE")) throw error;
  }
  const large = Buffer.allocUnsafe(largest);
  return large.subarray(0, await call.async(subject, ...values, large, largest));
}

function splitNames(list: Buffer, length: number): Buffer[] {
  const names: Buffer[] = [];
  for (let start = 0; start < length;) {
    const end = list.indexOf(0, start);
    names.push(Buffer.from(list.subarray(start, end)));
    start = end + 1;
  }
  return names;
}

const hasCode = (error: unknown, code: string): boolean => error instanceof LinuxError && error.code === code;

function noneIfUnsupported(work: () => Buffer[]): Buffer[] {
  try {
    return work();
  } catch (error) {
    if (hasCode(error, "ENOTSUP")) return [];
    throw error;
  }
}

function undefinedIfAbsent(work: () => Buffer): Buffer | undefined {
  try {
    return work();
  } catch (error) {
    if (hasCode(error, "ENODATA")) return undefined;
    throw error;
  }
}
