import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  write as writeCallback,
  writeSync,
} from "node:fs";
import { promisify } from "node:util";
import { linux } from "@aeon/core";
import { errors } from "../errors.ts";
import { refusal } from "./extract-checks.ts";
import { lowerXattrName, type OverlayNamespace } from "./overlay-xattrs.ts";
import type { PendingWrites } from "./pending-writes.ts";
import { readSparseMap, type Extent } from "./sparse-map.ts";
import type { TarEntry } from "./tar-entry.ts";
import type { TarReader } from "./tar-reader.ts";

const writeAt = promisify(writeCallback);
/** Files of so many bytes are written on other threads: for smaller ones going there takes longer than writing. */
const writtenBehind = 64 * 1024;
const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

export interface FileExtractorOptions {
  /** At the data of the file that is to be made. */
  readonly tar: TarReader;
  readonly pending: PendingWrites;
  readonly overlay: OverlayNamespace;
}

/** Makes the files of an archive with their bytes and attributes. */
export class FileExtractor {
  readonly #options: FileExtractorOptions;

  constructor(options: FileExtractorOptions) {
    this.#options = options;
  }

  /** Makes a file that is not there yet in an open directory. A large one may still be under way when this resolves. */
  async make(directory: number, name: Buffer, entry: TarEntry): Promise<void> {
    const fd = linux.openAtSync(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    if (entry.sparseSize === undefined && entry.size >= writtenBehind) return this.#behind(fd, entry);
    try {
      if (entry.sparseSize === undefined) await this.#data(fd, 0, entry.size);
      else await this.#sparse(fd, entry.sparseSize);
      this.#finishFile(fd, entry);
    } finally {
      closeSync(fd);
    }
  }

  /** Lets a file be written while the entries after it are read. */
  async #behind(fd: number, entry: TarEntry): Promise<void> {
    const writes: Promise<void>[] = [];
    try {
      for (let done = 0; done < entry.size;) {
        const piece = await this.#piece(entry.size - done);
        const write = writeFully(fd, piece, done).catch((error: unknown) => {
          throw refusal(entry, error);
        });
        writes.push(this.#options.pending.add(write));
        done += piece.length;
      }
    } catch (error) {
      await Promise.allSettled(writes);
      closeSync(fd);
      throw error;
    }
    void this.#options.pending.add(this.#finishBehind(fd, entry, writes));
  }

  async #finishBehind(fd: number, entry: TarEntry, writes: readonly Promise<void>[]): Promise<void> {
    try {
      await Promise.allSettled(writes);
      await Promise.all(writes);
      this.#finishFile(fd, entry);
    } catch (error) {
      throw refusal(entry, error);
    } finally {
      closeSync(fd);
    }
  }

  /** Gives a file whose bytes are there its attributes. */
  #finishFile(fd: number, entry: TarEntry): void {
    // Changing the owner clears setuid bits and capabilities, so it comes first.
    fchownSync(fd, entry.uid, entry.gid);
    fchmodSync(fd, entry.mode);
    setXattrs(fd, entry, this.#options.overlay);
    linux.setDescriptorTimesSync(fd, { modified: entry.mtime });
  }

  /** Between 1 and `most` bytes of the current entry. */
  async #piece(most: number): Promise<Buffer> {
    const piece = await this.#options.tar.data(most);
    if (piece.length > 0) return piece;
    throw errors.ARCHIVE_CORRUPT("archive holds a file that is shorter than its header says");
  }

  async #data(fd: number, offset: number, length: number): Promise<void> {
    for (let done = 0; done < length;) {
      const piece = await this.#piece(length - done);
      for (let written = 0; written < piece.length;)
        written += writeSync(fd, piece, written, piece.length - written, offset + done + written);
      done += piece.length;
    }
  }

  async #sparse(fd: number, size: number): Promise<void> {
    const extents: Extent[] = await readSparseMap(this.#options.tar, size);
    ftruncateSync(fd, size);
    for (const { offset, length } of extents) await this.#data(fd, offset, length);
  }
}

async function writeFully(fd: number, bytes: Buffer, offset: number): Promise<void> {
  for (let written = 0; written < bytes.length;)
    written += (await writeAt(fd, bytes, written, bytes.length - written, offset + written)).bytesWritten;
}

/** Gives a file of a lower layer its extended attributes. */
export function setXattrs(target: linux.XattrTarget, { xattrs }: TarEntry, overlay: OverlayNamespace): void {
  for (const { name, value } of xattrs) linux.setXattrSync(target, lowerXattrName(name, overlay), value);
}
