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

const ioctlCall = libcFunction("int ioctl(int fd, unsigned long request)");
/** NS_GET_USERNS of linux/nsfs.h. */
const getUserNamespace = 0xb701;

const cloneFs = 0x200;
const emptyPath = 0x1000;
const recursive = 0x8000;
const openTreeClone = 1;
const closeOnExec = 0x8_0000;
const moveFromEmptyPath = 4;
const moveToEmptyPath = 0x40;
const propagationPrivate = 1 << 18;
const attributeIdMap = 0x10_0000;

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
  setAttributes(mount, recursive, { propagation: propagationPrivate });
}

/**
 * Lets a detached mount show its files with the ids that a user namespace, by an open `/proc/PID/ns/user`, maps them to:
 * what is root's on disk is that namespace's root's. Not every file system can: overlayfs cannot.
 */
export function mapMountSync(mount: number, userNamespace: number): void {
  setAttributes(mount, 0, { set: attributeIdMap, userNamespace });
}

interface MountAttributes {
  readonly set?: number;
  readonly propagation?: number;
  readonly userNamespace?: number;
}

/** struct mount_attr has four numbers of 64 bits: set, clear, propagation and a user namespace. */
function setAttributes(mount: number, flags: number, attributes: MountAttributes): void {
  const { set = 0, propagation = 0, userNamespace = 0 } = attributes;
  const bytes = Buffer.alloc(32);
  for (const [index, value] of [set, 0, propagation, userNamespace].entries())
    bytes.writeBigUInt64LE(BigInt(value), 8 * index);
  const all = emptyPath | flags;
  mountSetattr.sync("mount", numbers.mountSetattr, mount, cString(""), all, bytes, bytes.length);
}

/** The user namespace that another namespace, by an open `/proc/PID/ns/*`, belongs to. Close the descriptor. */
export function openUserNamespaceOfSync(namespace: number): number {
  return ioctlCall.sync("namespace", namespace, getUserNamespace);
}
