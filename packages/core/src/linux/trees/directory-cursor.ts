import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { pathIn } from "./path-in.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
const directoryOnly = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** Directories above that stay open unless told otherwise; deeper ones are found again through `..`. */
const usuallyOpen = 128;

/** A directory above the current one: open, or known by its device and inode. */
type Above = { readonly fd: number } | { readonly identity: string };

export interface CursorOptions {
  /** Directories above the current one that stay open; default 128. */
  readonly mostOpen?: number;
}

/**
 * Stands in one directory of a tree and moves by single steps, never through a link and never above the start,
 * however deep the tree.
 */
export class DirectoryCursor implements Disposable {
  #fd: number;
  readonly #mostOpen: number;
  readonly #above: Above[] = [];

  constructor(root: string | Buffer, { mostOpen = usuallyOpen }: CursorOptions = {}) {
    this.#fd = openSync(root, directoryOnly);
    this.#mostOpen = mostOpen;
  }

  get fd(): number {
    return this.#fd;
  }

  /** Steps below the start. */
  get depth(): number {
    return this.#above.length;
  }

  /**
   * A path for Node's functions that means this entry of the current directory; a link at its end must not be
   * followed. Throws `EINVAL` unless the name is a single component.
   */
  child(name: Buffer): Buffer {
    return pathIn(this.#fd, name);
  }

  /**
   * Goes into a directory, unless `accept` says no to what was opened. Fails with `ENOTDIR` or `ELOOP` when the entry
   * is not a directory itself, and stays where it was.
   */
  enter(name: Buffer, accept: (fd: number) => boolean = () => true): boolean {
    const next = openSync(this.child(name), directoryOnly);
    let accepted = false;
    try {
      accepted = accept(next);
    } finally {
      if (!accepted) closeSync(next);
    }
    if (!accepted) return false;
    if (this.#above.length < this.#mostOpen) this.#above.push({ fd: this.#fd });
    else {
      this.#above.push({ identity: identity(this.#fd) });
      closeSync(this.#fd);
    }
    this.#fd = next;
    return true;
  }

  /**
   * Goes up. False when the directory was moved elsewhere meanwhile: the cursor is outside of its tree then and only
   * to be disposed of.
   */
  leave(): boolean {
    const above = this.#above.pop();
    if (above === undefined) throw new RangeError("a cursor never leaves the directory it started in");
    const left = this.#fd;
    this.#fd = "fd" in above ? above.fd : openSync(`/proc/self/fd/${left}/..`, directoryOnly);
    closeSync(left);
    return "fd" in above || identity(this.#fd) === above.identity;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    for (const above of this.#above) if ("fd" in above) closeSync(above.fd);
  }
}

function identity(fd: number): string {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `${dev}:${ino}`;
}
