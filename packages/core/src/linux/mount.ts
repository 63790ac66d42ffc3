import { libcFunction } from "./libc.ts";
import { LinuxError } from "./linux-error.ts";
import { cString, showPath, type BytePath } from "./path.ts";

const mountCall = libcFunction(
  "int mount(void *source, void *target, void *type, unsigned long flags, void *data)",
);
const umount2 = libcFunction("int umount2(void *target, int flags)");

/** Flags of mount(2), linux/mount.h. */
export const mountFlags = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  synchronous: 16,
  remount: 32,
  mandatoryLock: 64,
  dirSync: 128,
  noAtime: 1024,
  noDirAtime: 2048,
  bind: 4096,
  move: 8192,
  recursive: 16_384,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  relatime: 1 << 21,
  strictAtime: 1 << 24,
} as const;

/** Flags of umount2(2). `detach` takes the mount out of the tree at once and frees it when unused. */
export const unmountFlags = { force: 1, detach: 2, expire: 4, noFollow: 8 } as const;

export interface MountCall {
  readonly source: BytePath;
  readonly target: BytePath;
  /** Empty for bind, remount, move and propagation changes. */
  readonly type: string;
  /** Sum of {@link mountFlags}. */
  readonly flags: number;
  /** The file system's own options, comma separated; below one page. */
  readonly data: string;
}

/** The kernel takes at most a page of options, NUL included, and would cut the rest off. */
const largestData = 4095;

/** mount(2). Fails with `E2BIG` for options that do not fit in a page. */
export async function mount({ source, target, type, flags, data }: MountCall): Promise<void> {
  const options = cString(data);
  if (options.length > largestData) throw new LinuxError("E2BIG", "mount", showPath(target));
  await mountCall.async(showPath(target), cString(source), cString(target), cString(type), flags, options);
}

/** umount2(2), with a sum of {@link unmountFlags}. */
export async function unmount(target: BytePath, flags = 0): Promise<void> {
  await umount2.async(showPath(target), cString(target), flags);
}

const { readOnly, noSuid, noDev, noExec, synchronous, dirSync, noAtime, noDirAtime } = mountFlags;
const set = (flag: number) => ({ set: flag, clear: 0 });
const clear = (flag: number) => ({ set: 0, clear: flag });
const optionFlags: Readonly<Record<string, { readonly set: number; readonly clear: number }>> = {
  async: clear(synchronous),
  atime: clear(noAtime),
  bind: set(mountFlags.bind),
  defaults: set(0),
  dev: clear(noDev),
  diratime: clear(noDirAtime),
  dirsync: set(dirSync),
  exec: clear(noExec),
  noatime: set(noAtime),
  nodev: set(noDev),
  nodiratime: set(noDirAtime),
  noexec: set(noExec),
  norelatime: clear(mountFlags.relatime),
  nostrictatime: clear(mountFlags.strictAtime),
  nosuid: set(noSuid),
  rbind: set(mountFlags.bind | mountFlags.recursive),
  relatime: set(mountFlags.relatime),
  remount: set(mountFlags.remount),
  ro: set(readOnly),
  rw: clear(readOnly),
  strictatime: set(mountFlags.strictAtime),
  suid: clear(noSuid),
  sync: set(synchronous),
};

/** Splits fstab-style options, as containerd passes them, into mount(2)'s flags and the file system's own options. */
export function parseMountOptions(options: readonly string[]): { flags: number; data: string } {
  let flags = 0;
  const data: string[] = [];
  for (const option of options) {
    const known = Object.hasOwn(optionFlags, option) ? optionFlags[option] : undefined;
    if (known === undefined) data.push(option);
    else flags = (flags & ~known.clear) | known.set;
  }
  return { flags, data: data.join(",") };
}
