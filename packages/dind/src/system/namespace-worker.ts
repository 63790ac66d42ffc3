import { closeSync, constants, openSync, writeFileSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { errorMessage, linux } from "@aeon/core";
import { deleteLinkMessage, deleteTableMessage } from "../network/netlink-messages.ts";

/** A mount of M that D gets. */
export interface MountCopy {
  /** Below M's root; empty for the whole tree. */
  readonly source: string;
  /** Absolute in D; exists. */
  readonly target: string;
  readonly recursive: boolean;
  /** When given, only a file with this inode number is taken. */
  readonly inode?: string;
  /** Takes an earlier copy away first: nothing can be mounted on a file that is deleted. */
  readonly replaces?: boolean;
  /** Process whose user namespace says which ids its files show. */
  readonly userNamespace?: number;
}

/** What the thread does in other namespaces before it goes back. */
export type NamespaceTask =
  | {
      readonly kind: "copy-mounts";
      readonly from: number;
      readonly to: number;
      readonly mounts: readonly MountCopy[];
    }
  | {
      readonly kind: "clear-network";
      readonly pid: number;
      readonly links: readonly string[];
      readonly table: string;
      readonly forward: string;
    };

/** What the thread answers. */
export type NamespaceAnswer =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly message: string };

const forwardFile = "/proc/sys/net/ipv4/ip_forward";

const { detach, noFollow } = linux.unmountFlags;
/** Errors that say that what should go is gone: ENOENT, ENODEV. */
const gone = new Set([2, 19]);

function copyMounts({ from, to, mounts }: Extract<NamespaceTask, { kind: "copy-mounts" }>): string {
  using files = new DisposableStack();
  const open = (path: string, flags = constants.O_RDONLY): number => keep(openSync(path, flags));
  const keep = (fd: number): number => {
    files.defer(() => closeSync(fd));
    return fd;
  };
  const path = linux.openFlags.path;
  const roots = { from: open(`/proc/${from}/root`, path), to: open(`/proc/${to}/root`, path) };
  const spaces = { from: open(`/proc/${from}/ns/mnt`), to: open(`/proc/${to}/ns/mnt`) };
  const below = (directory: number, name: string, flags = 0): number =>
    keep(
      linux.openBeneathSync({
        directory,
        path: name,
        flags: path | flags,
        resolve: linux.resolveFlags.inRoot | linux.resolveFlags.noMagicLinks,
      }),
    );
  const maps = mounts.map(({ userNamespace: pid }) =>
    pid === undefined ? undefined : open(`/proc/${pid}/ns/user`),
  );
  linux.enterNamespaceSync(spaces.from, "mnt");
  const clones = mounts.map(({ source, recursive, inode }, index) => {
    const origin = source === "" ? roots.from : below(roots.from, source, constants.O_NOFOLLOW);
    if (inode !== undefined && String(linux.statDescriptorSync(origin).inode) !== inode)
      throw new Error(`${source} is not the socket that was made there`);
    const clone = keep(linux.cloneMountSync(origin, { recursive }));
    linux.makeMountPrivateSync(clone);
    const map = maps[index];
    if (map !== undefined) linux.mapMountSync(clone, map);
    return clone;
  });
  linux.enterNamespaceSync(spaces.to, "mnt");
  for (const [index, { target, replaces }] of mounts.entries()) {
    if (replaces === true) linux.unmountSync(target, detach | noFollow);
    linux.attachMountSync(clones[index] ?? -1, below(roots.to, target), target);
  }
  return "";
}

function enterNetwork(pid: number): void {
  const fd = openSync(`/proc/${pid}/ns/net`, constants.O_RDONLY);
  try {
    linux.enterNamespaceSync(fd, "net");
  } finally {
    closeSync(fd);
  }
}

function clearNetwork(task: Extract<NamespaceTask, { kind: "clear-network" }>): string {
  enterNetwork(task.pid);
  const failures: string[] = [];
  const request = (what: string, protocol: number, message: Buffer): void => {
    const errno = linux.netlinkRequestSync(protocol, message);
    if (errno !== 0 && !gone.has(errno)) failures.push(`${what}: errno ${errno}`);
  };
  for (const name of task.links)
    request(`link ${name}`, linux.netlinkProtocols.route, deleteLinkMessage(name));
  request(`table ${task.table}`, linux.netlinkProtocols.netfilter, deleteTableMessage(task.table));
  if (task.forward !== "") writeFileSync(forwardFile, task.forward);
  if (failures.length > 0) throw new Error(failures.join("; "));
  return "";
}

const run = (task: NamespaceTask): string =>
  task.kind === "copy-mounts" ? copyMounts(task) : clearNetwork(task);

/** The thread's own namespaces; it does nothing more when it cannot go back to them. */
const home = {
  mnt: openSync("/proc/thread-self/ns/mnt", "r"),
  net: openSync("/proc/thread-self/ns/net", "r"),
};
linux.unshareFileSystemSync();

function answer(task: NamespaceTask): NamespaceAnswer {
  try {
    return { ok: true, value: run(task) };
  } catch (error) {
    return { ok: false, message: errorMessage(error) };
  } finally {
    linux.enterNamespaceSync(home.mnt, "mnt");
    linux.enterNamespaceSync(home.net, "net");
  }
}

parentPort?.on("message", (task: NamespaceTask | "end") => {
  if (task === "end") {
    for (const fd of Object.values(home)) closeSync(fd);
    parentPort?.close();
    return;
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(answer(task));
});
