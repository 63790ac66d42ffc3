import { statfs } from "node:fs/promises";
import type { StoredLayer } from "../store/backup-document.ts";
import { errors } from "../errors.ts";

/** What a file takes besides its data: its block is filled up, and names need room in their folder. */
const bytesPerEntry = 4096;
/** Kept free on top of what is needed. */
const reserve = 1.1;

/** What unpacked layers take at most. */
export interface Need {
  readonly bytes: number;
  readonly inodes: number;
}

export const needOf = ({ rawSize, entries }: Pick<StoredLayer, "rawSize" | "entries">): Need => ({
  bytes: Math.ceil((rawSize + entries * bytesPerEntry) * reserve),
  inodes: Math.ceil(entries * reserve),
});

/** Counts what work under way is going to take, so that several layers do not count on the same free room. */
export class Room {
  readonly #taken = new Set<Need>();

  /**
   * Sets room aside on the file system of a folder until the result is disposed. Throws `RESTORE_NO_ROOM` when
   * there is not enough, before anything is written.
   */
  async take(
    folder: string,
    layer: Pick<StoredLayer, "digest" | "rawSize" | "entries">,
  ): Promise<Disposable> {
    const need = needOf(layer);
    const { bavail, bsize, ffree, files } = await statfs(folder);
    const others = [...this.#taken];
    const bytes = bavail * bsize - sum(others, "bytes");
    const inodes = ffree - sum(others, "inodes");
    // File systems that make inodes as needed (btrfs) count none.
    if (bytes < need.bytes || (files > 0 && inodes < need.inodes))
      throw errors.RESTORE_NO_ROOM(
        `layer ${layer.digest} needs up to ${need.bytes} bytes and ${need.inodes} inodes in ${folder}, free are ${Math.max(0, bytes)} bytes and ${Math.max(0, inodes)} inodes`,
        {
          details: { folder, needed: need.bytes, free: bytes, inodesNeeded: need.inodes, inodesFree: inodes },
        },
      );
    this.#taken.add(need);
    return { [Symbol.dispose]: () => void this.#taken.delete(need) };
  }
}

const sum = (needs: readonly Need[], what: keyof Need): number =>
  needs.reduce((total, need) => total + need[what], 0);
