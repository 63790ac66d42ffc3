import { chdir, cwd } from "node:process";
import { closeSync, constants, openSync } from "node:fs";
import { libcFunction } from "./libc.ts";
import { cString, showPath, type BytePath } from "./path.ts";

/** These have no wrapper in older C libraries; their numbers are the same on every architecture. */
const openTree = libcFunction(
  "long syscall(long number, int fd, void *path, unsigned int flags)",
  "open_tree",
);
const moveMountCall = libcFunction(
  "long syscall(long number, int from, void *fromPath, int to, void *toPath, unsigned int flags)",
  "move_mount",
);
const umount2 = libcFunction("int umount2(void *target, int flags)");
const setns = libcFunction("int setns(int fd, int type)");
const unshare = libcFunction("int unshare(int flags)");
const fchdir = libcFunction("int fchdir(int fd)");
const chroot = libcFunction("int chroot(void *path)");

const openTreeNumber = 428;
const moveMountNumber = 429;
const cloneFs = 0x200;
const cloneMountNamespace = 0x2_0000;
const treeClone = 1;
const treeCloseOnExec = 0x8_0000;
const recursive = 0x8000;
const emptyPath = 0x1000;
const fromEmptyPath = 4;
const toEmptyPath = 0x40;
const nothing = cString("");

/**
 * A detached copy of the mount that an open file (`O_PATH` suffices) lies in, with that file as its root; with the
 * mounts below it when `recursive`. The file has to belong to the caller's mount namespace. Close the descriptor.
 */
export function cloneTreeSync(fd: number, options: { readonly recursive: boolean }): number {
  const flags = treeClone | treeCloseOnExec | emptyPath | (options.recursive ? recursive : 0);
  return openTree.sync(`descriptor ${fd}`, openTreeNumber, fd, nothing, flags);
}

/** Attaches a detached mount to an open file or folder of the caller's mount namespace. */
export function attachTreeSync(tree: number, target: number): void {
  moveMountCall.sync(
    `descriptor ${target}`,
    moveMountNumber,
    tree,
    nothing,
    target,
    nothing,
    fromEmptyPath | toEmptyPath,
  );
}

/** umount2(2) on the calling thread. */
export function unmountSync(target: BytePath, flags: number): void {
  umount2.sync(showPath(target), cString(target), flags);
}

let ownFs = false;

/**
 * Runs `work` with this thread in another mount namespace, by an open `/proc/PID/ns/mnt`, and comes back. Everything in it
 * has to be synchronous: other threads stay where they are.
 */
export function inMountNamespaceSync<T>(namespace: number, work: () => T): T {
  if (!ownFs) {
    // A thread that shares root and working directory with others may not change its namespace.
    unshare.sync("thread", cloneFs);
    ownFs = true;
  }
  const folder = cwd();
  const home = openSync("/proc/thread-self/ns/mnt", "r");
  const root = openSync("/", constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    setns.sync("mount namespace", namespace, cloneMountNamespace);
    try {
      return work();
    } finally {
      setns.sync("own mount namespace", home, cloneMountNamespace);
      fchdir.sync("root", root);
      chroot.sync("root", cString("."));
      chdir(folder);
    }
  } finally {
    closeSync(home);
    closeSync(root);
  }
}
