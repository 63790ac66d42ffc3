import { libcFunction } from "./libc.ts";
import { cString, showPath, type BytePath } from "./path.ts";

const unshareCall = libcFunction("int unshare(int flags)");
const setnsCall = libcFunction("int setns(int fd, int type)");
/** These have no wrapper in older libcs; their numbers are the same on every architecture. */
const openTree = libcFunction(
  "long syscall(long number, int directory, void *path, uint32_t flags)",
  "open_tree",
);
const moveMount = libcFunction(
  "long syscall(long number, int from, void *fromPath, int to, void *toPath, uint32_t flags)",
  "move_mount",
);
const mountSetattr = libcFunction(
  "long syscall(long number, int directory, void *path, uint32_t flags, void *attributes, size_t size)",
  "mount_setattr",
);
const numbers = { openTree: 428, moveMount: 429, mountSetattr: 442 } as const;

const cloneFs = 0x200;
const emptyPath = 0x1000;
const recursive = 0x8000;
const openTreeClone = 1;
const closeOnExec = 0x8_0000;
const moveFromEmptyPath = 4;
const moveToEmptyPath = 0x40;
const propagationPrivate = 1 << 18;

/** CLONE_NEW* numbers by the name of the namespace's file below /proc/PID/ns. */
const namespaceTypes = { mnt: 0x2_0000, net: 0x4000_0000 } as const;

/**
 * Gives the calling thread a root and working directory of its own, without which a thread cannot enter another
 * mount namespace. Only for threads that end afterwards: others of the process no longer follow its `chdir`.
 */
export function unshareFileSystemSync(): void {
  unshareCall.sync("thread", cloneFs);
}

/**
 * Moves the calling thread into the namespace of an open `/proc/PID/ns/*` file. Never call it on a thread that lives
 * on: what this thread does from now on happens there, and libuv's threads stay outside.
 */
export function enterNamespaceSync(fd: number, type: keyof typeof namespaceTypes): void {
  setnsCall.sync(`${type} namespace`, fd, namespaceTypes[type]);
}

/**
 * A detached copy of the mount that an open file (`O_PATH` will do) is on, from that file on; with `recursive` of all
 * mounts below it too. The caller's mount namespace must be that of the file. Close the descriptor, which holds it.
 */
export function cloneMountSync(fd: number, how: { readonly recursive: boolean }): number {
  const flags = openTreeClone | closeOnExec | emptyPath | (how.recursive ? recursive : 0);
  return openTree.sync("mount tree", numbers.openTree, fd, cString(""), flags);
}

/** Attaches a detached mount on an open directory or file of the calling thread's mount namespace. */
export function attachMountSync(mount: number, target: number, subject: BytePath): void {
  const flags = moveFromEmptyPath | moveToEmptyPath;
  moveMount.sync(showPath(subject), numbers.moveMount, mount, cString(""), target, cString(""), flags);
}

/** Cuts a mount and all below it off from what happens to the mounts that they are copies of, both ways. */
export function makeMountPrivateSync(mount: number): void {
  const attributes = Buffer.alloc(32);
  attributes.writeBigUInt64LE(BigInt(propagationPrivate), 16);
  const flags = emptyPath | recursive;
  mountSetattr.sync(
    "mount tree",
    numbers.mountSetattr,
    mount,
    cString(""),
    flags,
    attributes,
    attributes.length,
  );
}
