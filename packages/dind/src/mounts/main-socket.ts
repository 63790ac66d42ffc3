import { closeSync, constants, lchownSync, mkdirSync, openSync, renameSync, unlinkSync } from "node:fs";
import { errnoOf, linux } from "@aeon/core";
import type { MainProcess } from "../controller/main-process.ts";
import { errors } from "../errors.ts";

/** A socket that was made in the main container. */
export interface MainSocket {
  /** As the main container sees it. */
  readonly path: string;
  /** Listening descriptor; whoever inherits it serves. */
  readonly fd: number;
  readonly inode: string;
}

/** Folders in which docker clients look for the socket. */
const folders = ["run", "var/run"] as const;
const socketName = "docker.sock";
/** As the main container sees them; there is no second one where `/var/run` is `/run`. */
export const socketPaths = ["/run/docker.sock", "/var/run/docker.sock"] as const;
/** The owner and the group of the container's root user; others in it are not given root's power over it. */
const socketMode = 0o660;

/** Until it is written down that the socket is ours; its name tells that meanwhile. */
const newName = ".docker.sock.aeon";

/**
 * Makes listening sockets in the main container under every path where docker clients look. Folders are found inside
 * its root, through its links, by descriptor: nothing in it can move the socket elsewhere. `ours` are inode numbers of
 * sockets that an earlier start left and that may be replaced; `claim` makes those of new ones durable, before they
 * are where clients look. Throws `DIND_SOCKET_TAKEN` for anything else there.
 */
export async function makeMainSockets(
  main: MainProcess,
  ours: readonly string[],
  claim: (inodes: readonly string[]) => Promise<unknown>,
): Promise<readonly MainSocket[]> {
  const directories: { readonly folder: string; readonly fd: number }[] = [];
  const made: MainSocket[] = [];
  try {
    directories.push(...openFolders(main));
    for (const { folder, fd } of directories)
      made.push({ path: `/${folder}/${socketName}`, ...listenIn(fd, folder, main, ours) });
    await claim(made.map(({ inode }) => inode));
    for (const { folder, fd } of directories) {
      checkFree(fd, folder, ours);
      asRootOf(main, () =>
        renameSync(linux.descriptorPath(fd, newName), linux.descriptorPath(fd, socketName)),
      );
    }
    return made;
  } catch (error) {
    for (const { fd } of made) closeSync(fd);
    throw error;
  } finally {
    for (const { fd } of directories) closeSync(fd);
  }
}

/** The folders for sockets, by descriptor; makes what is missing. */
function openFolders(main: MainProcess): { readonly folder: string; readonly fd: number }[] {
  const root = openSync(`/proc/${main.pid}/root`, linux.openFlags.path);
  const seen = new Set<string>();
  const opened: { readonly folder: string; readonly fd: number }[] = [];
  try {
    for (const folder of folders) {
      const fd = openFolder(root, folder, main);
      const { device, inode } = linux.statDescriptorSync(fd);
      // Usually /var/run is a link to /run.
      if (seen.has(`${device}:${inode}`)) closeSync(fd);
      else opened.push({ folder, fd });
      seen.add(`${device}:${inode}`);
    }
    return opened;
  } catch (error) {
    for (const { fd } of opened) closeSync(fd);
    throw error;
  } finally {
    closeSync(root);
  }
}

/** Removes the sockets that are still those that were made; the container may have put something else there. */
export function removeMainSockets(main: Pick<MainProcess, "pid">, ours: readonly string[]): void {
  let root: number;
  try {
    root = openSync(`/proc/${main.pid}/root`, linux.openFlags.path);
  } catch {
    return;
  }
  try {
    for (const folder of folders) {
      try {
        const directory = linux.openBeneathSync({
          directory: root,
          path: folder,
          flags: directoryFlags,
          resolve,
        });
        try {
          if (ours.includes(inodeIn(directory, socketName) ?? ""))
            unlinkSync(linux.descriptorPath(directory, socketName));
          removeNew(directory);
        } finally {
          closeSync(directory);
        }
      } catch (error) {
        if (!harmless.has(errnoOf(error) ?? "")) throw error;
      }
    }
  } finally {
    closeSync(root);
  }
}

const harmless = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EROFS", "EXDEV"]);
const resolve = linux.resolveFlags.inRoot | linux.resolveFlags.noMagicLinks;
const directoryFlags = linux.openFlags.path | constants.O_DIRECTORY;

/** Makes what is missing of the path, each folder inside the one before. */
function openFolder(root: number, path: string, main: MainProcess): number {
  let reached = "";
  for (const name of path.split("/")) {
    const next = reached === "" ? name : `${reached}/${name}`;
    try {
      closeSync(linux.openBeneathSync({ directory: root, path: next, flags: directoryFlags, resolve }));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw taken(`/${next}`, error);
      const parent = linux.openBeneathSync({
        directory: root,
        path: reached || ".",
        flags: directoryFlags,
        resolve,
      });
      try {
        asRootOf(main, () => mkdirSync(linux.descriptorPath(parent, name), 0o755));
        lchownSync(linux.descriptorPath(parent, name), main.uid, main.gid);
      } catch (cause) {
        // A link that leads nowhere.
        throw taken(`/${next}`, cause);
      } finally {
        closeSync(parent);
      }
    }
    reached = next;
  }
  return linux.openBeneathSync({ directory: root, path, flags: directoryFlags, resolve });
}

function listenIn(
  directory: number,
  folder: string,
  main: MainProcess,
  ours: readonly string[],
): { readonly fd: number; readonly inode: string } {
  checkFree(directory, folder, ours);
  removeNew(directory);
  const path = linux.descriptorPath(directory, newName).toString();
  const fd = asRootOf(main, () => linux.listenUnixSync(path, socketMode));
  try {
    lchownSync(path, main.uid, main.gid);
    return { fd, inode: inodeIn(directory, newName) ?? "" };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Files that the container's own root may not make, the host's makes, where it can. */
function asRootOf<T>(main: MainProcess, make: () => T): T {
  if (!main.userNamespace.isOwn) return make();
  try {
    return linux.withFileIdsSync(main, make);
  } catch (error) {
    if (errnoOf(error) !== "EACCES" && errnoOf(error) !== "EPERM") throw error;
    return make();
  }
}

function checkFree(directory: number, folder: string, ours: readonly string[]): void {
  const present = inodeIn(directory, socketName);
  if (present !== undefined && !ours.includes(present)) throw taken(`/${folder}/${socketName}`);
}

/** Removes what a start left that was killed before it was written down. */
function removeNew(directory: number): void {
  if (inodeIn(directory, newName) !== undefined) unlinkSync(linux.descriptorPath(directory, newName));
}

/** Inode number of a socket's file; undefined when there is none. */
function inodeIn(directory: number, name: string): string | undefined {
  try {
    return String(linux.statAtSync(directory, name).inode);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

const taken = (path: string, cause?: unknown): Error =>
  errors.DIND_SOCKET_TAKEN(
    `${path} of the main container cannot hold the Docker socket: ${cause instanceof Error ? cause.message : "something that aeon did not make is there"}; remove it`,
    { cause, details: { path } },
  );
