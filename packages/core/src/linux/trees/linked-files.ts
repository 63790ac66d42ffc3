import { lstatSync, type Stats } from "node:fs";

/** Remembers files with several links, so that each counts once. */
export class LinkedFiles {
  readonly #seen = new Set<string>();

  /** True for every file with one link, and the first time another is met. Inode numbers may need all of 64 bits. */
  isFirst(path: string | Buffer, stats: Stats): boolean {
    if (stats.nlink < 2 || stats.isDirectory()) return true;
    const exact = Number.isSafeInteger(stats.ino) ? stats.ino : lstatSync(path, { bigint: true }).ino;
    const identity = `${stats.dev}:${exact}`;
    if (this.#seen.has(identity)) return false;
    this.#seen.add(identity);
    return true;
  }
}
