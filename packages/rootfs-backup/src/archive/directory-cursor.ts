import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { linux } from "@aeon/core";
import { errors } from "../errors.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
const directoryOnly = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/**
 * Stands in one directory of a tree and moves by single steps, never through a link and never above the start,
 * however deep the tree: only one descriptor is open at a time.
 */
export class DirectoryCursor implements Disposable {
  #fd: number;
  /** Device and inode of the directories above. */
  readonly #above: string[] = [];

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
    const here = identity(this.#fd);
    const next = openSync(this.child(name), directoryOnly);
    closeSync(this.#fd);
    this.#fd = next;
    this.#above.push(here);
  }

  leave(): void {
    const expected = this.#above.pop();
    if (expected === undefined) throw errors.ARCHIVE_HOSTILE("archive leads above its folder");
    const parent = openSync(
      Buffer.concat([linux.descriptorPath(this.#fd), Buffer.from("/..")]),
      directoryOnly,
    );
    closeSync(this.#fd);
    this.#fd = parent;
    if (identity(parent) !== expected)
      throw errors.ARCHIVE_HOSTILE("a directory was moved while it was read or written");
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

function identity(fd: number): string {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `${dev}:${ino}`;
}
