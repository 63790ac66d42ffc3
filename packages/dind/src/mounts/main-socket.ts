import { closeSync, constants, lchownSync, mkdirSync, openSync, unlinkSync } from "node:fs";
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

/**
 * Makes listening sockets in the main container under every path where docker clients look. Folders are found inside
 * its root, through its links, by descriptor: nothing in it can move the socket elsewhere. `ours` are inode numbers of
 * sockets that an earlier start left and that may be replaced. Throws `DIND_SOCKET_TAKEN` for anything else there.
 */
export function makeMainSockets(main: MainProcess, ours: readonly string[]): readonly MainSocket[] {
  const root = openSync(`/proc/${main.pid}/root`, linux.openFlags.path);
  const seen = new Set<string>();
  const made: MainSocket[] = [];
  try {
    for (const folder of folders) {
      const directory = openFolder(root, folder, main);
      try {
        const { device, inode } = linux.statDescriptorSync(directory);
        // Usually /var/run is a link to /run.
        if (seen.has(`${device}:${inode}`)) continue;
        seen.add(`${device}:${inode}`);
        made.push({ path: `/${folder}/${socketName}`, ...listenIn(directory, folder, main, ours) });
      } finally {
        closeSync(directory);
      }
    }
    return made;
  } catch (error) {
    for (const { fd } of made) closeSync(fd);
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
          if (ours.includes(inodeIn(directory) ?? ""))
            unlinkSync(linux.descriptorPath(directory, socketName));
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
        mkdirSync(linux.descriptorPath(parent, name), 0o755);
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
  const path = linux.descriptorPath(directory, socketName).toString();
  const present = inodeIn(directory);
  if (present !== undefined) {
    if (!ours.includes(present)) throw taken(`/${folder}/${socketName}`);
    unlinkSync(path);
  }
  const fd = linux.listenUnixSync(path, socketMode);
  try {
    lchownSync(path, main.uid, main.gid);
    return { fd, inode: inodeIn(directory) ?? "" };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Inode number of the socket's file; undefined when there is none. */
function inodeIn(directory: number): string | undefined {
  try {
    return String(linux.statAtSync(directory, socketName).inode);
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
