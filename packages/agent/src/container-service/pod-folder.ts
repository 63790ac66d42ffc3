import { once } from "node:events";
import { closeSync, constants, fchmodSync, fstatSync, mkdirSync, openSync, rmSync } from "node:fs";
import { chmod, rename, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { errorMessage, linux, type Labels } from "@aeon/core";
import { errors } from "./errors.ts";
import { folderName, type FolderOwner } from "./folder-name.ts";
import { RateLimit } from "./rate-limit.ts";

export const socketName = "container-service.sock";

/** One connection of a container. */
export interface Caller {
  readonly folder: PodFolder;
  readonly peer: linux.PeerCredentials;
}

export interface PodFolderOptions {
  /** Folder of all pods' folders; only root can enter. */
  readonly parent: string;
  readonly owner: FolderOwner;
  readonly annotations: Labels;
  readonly callsPerSecond: number;
  readonly accept: (socket: Socket, caller: Caller) => void;
}

/** Connections of one pod; more are closed at once. */
const maxConnections = 32;

/**
 * The folder that a pod sees as /run/aeon/container, with the socket in it. Everything is done below a descriptor of
 * the folder, so that nothing at its path can lead elsewhere.
 */
export class PodFolder implements AsyncDisposable {
  readonly name: string;
  readonly path: string;
  readonly owner: FolderOwner;
  readonly annotations: Labels;
  readonly rate: RateLimit;
  /** Containers of the pod that containerd has, or that are about to be created. */
  readonly containers = new Set<string>();
  /** Calls that are running. */
  running = 0;
  readonly #fd: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #closing: Promise<void> | undefined;

  private constructor(options: PodFolderOptions, path: string, fd: number) {
    this.owner = options.owner;
    this.annotations = options.annotations;
    this.name = folderName(options.owner);
    this.path = path;
    this.rate = new RateLimit(options.callsPerSecond);
    this.#fd = fd;
    this.#server = createServer((socket) => this.#accept(socket, options.accept));
    this.#server.maxConnections = maxConnections;
  }

  /** Makes the folder unless it is there, and serves the socket. Throws `POD_FOLDER_UNUSABLE`. */
  static async open(options: PodFolderOptions): Promise<PodFolder> {
    const path = join(options.parent, folderName(options.owner));
    const fd = openFolder(path);
    const folder = new PodFolder(options, path, fd);
    try {
      await folder.#listen();
      return folder;
    } catch (error) {
      closeSync(fd);
      throw errors.POD_FOLDER_UNUSABLE(`no socket in ${path}: ${errorMessage(error)}`, {
        cause: error,
        details: { path },
      });
    }
  }

  /** Ends the socket; the folder stays, since containers may have it mounted. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /** Ends the socket and removes the folder. */
  async remove(): Promise<void> {
    await this.close();
    removeFolder(this.path);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The socket appears under its name with its mode, when it can be connected to. */
  async #listen(): Promise<void> {
    const here = linux.descriptorPath(this.#fd).toString();
    const temporary = `${here}/.${process.pid}.sock`;
    await rm(temporary, { force: true });
    this.#server.listen(temporary);
    await once(this.#server, "listening");
    // Any user of the pod may ask; who may do what is decided by the call.
    await chmod(temporary, 0o666);
    await rename(temporary, `${here}/${socketName}`);
  }

  #accept(socket: Socket, accept: PodFolderOptions["accept"]): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    try {
      accept(socket, { folder: this, peer: linux.peerCredentials(socket) });
    } catch {
      socket.destroy();
    }
  }

  async #close(): Promise<void> {
    await rm(`${linux.descriptorPath(this.#fd).toString()}/${socketName}`, { force: true });
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    closeSync(this.#fd);
  }
}

/** Opens a folder of root's own; others of its users may pass, none may write. */
function openFolder(path: string): number {
  mkdirSync(path, { recursive: true, mode: 0o755 });
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const { uid } = fstatSync(fd);
    if (uid !== process.getuid?.()) throw new Error(`it belongs to user ${String(uid)}`);
    fchmodSync(fd, 0o755);
    return fd;
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw errors.POD_FOLDER_UNUSABLE(`${path} cannot be used: ${errorMessage(error)}`, {
      cause: error,
      details: { path },
    });
  }
}

/** Removes a pod's folder with what the pod may have put there; only once no container has it mounted any more. */
export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
}
