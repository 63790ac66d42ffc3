import { closeSync, constants, mkdirSync, openSync, rmdirSync, unlinkSync } from "node:fs";
import {
  attachTreeSync,
  cloneTreeSync,
  inMountNamespaceSync,
  openBeneathSync,
  openFlags,
  resolveFlags,
  unmountFlags,
  unmountSync,
} from "@aeon/core/linux";
import type { DaemonConfig } from "../filter-config.ts";
import type { FoundFile } from "./main-tree.ts";
import { holdsFiles, mountTable } from "./mount-table.ts";

/** What was attached. */
export interface Attached {
  /** How many mounts lie below the pinned folder. */
  readonly inner: number;
}

/** Attaches files of the main container below a folder that only D sees, by descriptor. */
export class Pinner implements Disposable {
  readonly #daemon: DaemonConfig;
  readonly #namespace: number;
  readonly #folder: number;

  constructor(daemon: DaemonConfig) {
    this.#daemon = daemon;
    this.#namespace = openSync(`/proc/${daemon.pid}/ns/mnt`, "r");
    const outer = openSync(`/proc/${daemon.pid}/root`, openFlags.path | constants.O_DIRECTORY);
    try {
      this.#folder = openBeneathSync({
        directory: outer,
        path: daemon.pinFolder.replace(/^\/+/, ""),
        flags: openFlags.path | constants.O_DIRECTORY,
        resolve: resolveFlags.beneath | resolveFlags.noSymlinks,
      });
    } catch (error) {
      closeSync(this.#namespace);
      throw error;
    } finally {
      closeSync(outer);
    }
  }

  /** Path of a pin as dockerd sees it. */
  pathOf(id: string): string {
    return `${this.#daemon.pinFolder}/${id}`;
  }

  /** Attaches the file as pin `id`, without those of its mounts that are doors to the kernel. Undoes itself on failure. */
  attach(id: string, file: FoundFile): Attached {
    const inHost = `/proc/self/fd/${this.#folder}/${id}`;
    if (file.status.isDirectory()) mkdirSync(inHost, { mode: 0o700 });
    else closeSync(openSync(inHost, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600));
    try {
      const target = openSync(inHost, openFlags.path | constants.O_NOFOLLOW);
      try {
        inMountNamespaceSync(this.#namespace, () => {
          const tree = cloneTreeSync(file.fd, { recursive: file.status.isDirectory() });
          try {
            attachTreeSync(tree, target);
          } finally {
            closeSync(tree);
          }
        });
      } finally {
        closeSync(target);
      }
      return { inner: this.#detachDoors(id) };
    } catch (error) {
      this.detach(id);
      throw error;
    }
  }

  /** Takes a pin away; what containers have mounted already stays with them. */
  detach(id: string): void {
    const point = this.pathOf(id);
    if (mountTable(this.#daemon.pid).some((mount) => mount.point === point))
      inMountNamespaceSync(this.#namespace, () =>
        unmountSync(point, unmountFlags.detach | unmountFlags.noFollow),
      );
    const inHost = `/proc/self/fd/${this.#folder}/${id}`;
    for (const remove of [rmdirSync, unlinkSync]) {
      try {
        remove(inHost);
        return;
      } catch {
        // The other kind, or gone already.
      }
    }
  }

  /** dockerd does not know the path yet, so nobody sees the mounts before they are gone. */
  #detachDoors(id: string): number {
    const point = this.pathOf(id);
    const below = () => mountTable(this.#daemon.pid).filter((mount) => mount.point.startsWith(`${point}/`));
    const isDoor = (at: string, type: string): boolean => !holdsFiles(type) || at === `${point}/dev`;
    for (;;) {
      const door = below().find(({ point: at, type }) => isDoor(at, type));
      if (door === undefined) return below().length;
      inMountNamespaceSync(this.#namespace, () =>
        unmountSync(door.point, unmountFlags.detach | unmountFlags.noFollow),
      );
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#namespace);
    closeSync(this.#folder);
  }
}
