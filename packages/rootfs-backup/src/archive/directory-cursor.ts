import { closeSync, constants, openSync } from "node:fs";
import { linux } from "@aeon/core";
import { errors } from "../errors.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
const directoryOnly = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** Directories above that stay open; deeper ones are found again through `..`. */
const mostOpen = 128;

/** A directory above the current one: open, or known by its device and inode. */
type Above = { readonly fd: number } | { readonly identity: string };

/**
 * Stands in one directory of a tree and moves by single steps, never through a link and never above the start,
 * however deep the tree.
 */
export class DirectoryCursor implements Disposable {
  #fd: number;
  readonly #above: Above[] = [];

  constructor(root: linux.BytePath) {
    this.#fd = openSync(root, directoryOnly);
  }

  get fd(): number {
    return this.#fd;
  }

  /** Steps below the start. */
  get depth(): number {
    return this.#above.length;
  }

  /** A path for Node's functions that means this entry of the current directory; a link at its end must not be followed. */
  child(name: Buffer): Buffer {
    return linux.descriptorPath(this.#fd, name);
  }

  /** Fails with `ENOTDIR` or `ELOOP` when the entry is not a directory itself. */
  enter(name: Buffer): void {
    const next = linux.openAtSync(this.#fd, name, directoryOnly);
    if (this.#above.length < mostOpen) this.#above.push({ fd: this.#fd });
    else {
      this.#above.push({ identity: identity(this.#fd) });
      closeSync(this.#fd);
    }
    this.#fd = next;
  }

  leave(): void {
    const above = this.#above.pop();
    if (above === undefined) throw errors.ARCHIVE_HOSTILE("archive leads above its folder");
    const left = this.#fd;
    this.#fd = "fd" in above ? above.fd : linux.openAtSync(left, "..", directoryOnly);
    closeSync(left);
    if ("identity" in above && identity(this.#fd) !== above.identity)
      throw errors.ARCHIVE_HOSTILE("a directory was moved while it was read or written");
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    for (const above of this.#above) if ("fd" in above) closeSync(above.fd);
  }
}

function identity(fd: number): string {
  const { device, inode } = linux.statDescriptorSync(fd);
  return `${device}:${inode}`;
}
