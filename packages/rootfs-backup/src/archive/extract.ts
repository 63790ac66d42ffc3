import { chmodSync, fchmodSync, fchownSync, lchownSync, linkSync, mkdirSync, symlinkSync } from "node:fs";
import { errnoOf, linux } from "@aeon/core";
import { DirectoryCursor } from "@aeon/core/trees";
import { errors } from "../errors.ts";
import { ByteReader } from "./byte-reader.ts";
import { checked, deviceOf, duplicate, realName, refusal, shown } from "./extract-checks.ts";
import { FileExtractor, setXattrs } from "./file-extractor.ts";
import { splitLayerPath } from "./layer-path.ts";
import { leaveFolder } from "./leave-folder.ts";
import { parseLayerName } from "./names.ts";
import { opaqueXattr, originXattr, type OverlayNamespace } from "./overlay-xattrs.ts";
import { PendingWrites } from "./pending-writes.ts";
import type { TarEntry } from "./tar-entry.ts";
import { TarReader } from "./tar-reader.ts";

export interface ExtractOptions {
  readonly overlay: OverlayNamespace;
  /** More entries make the archive `ARCHIVE_HOSTILE`. */
  readonly mostEntries: number;
}

/**
 * Unpacks an OCI layer into an empty folder as a lower layer of an overlay: whiteouts become 0:0 devices, opaque
 * markers the attribute that overlayfs reads. The folder must be private to root and have no other user.
 *
 * The archive is not trusted. Entries must come depth first below directories of the archive itself, each name
 * once; links are never followed and hard links lead only to what was unpacked before.
 * The memory of a chunk may be used again when the second one after it is asked for.
 * Throws `ARCHIVE_HOSTILE`, `ARCHIVE_CORRUPT`, `ARCHIVE_UNSUPPORTED`. Returns the number of entries.
 */
export async function extractLayer(
  chunks: AsyncIterable<Buffer>,
  root: string,
  options: ExtractOptions,
): Promise<number> {
  await using pending = new PendingWrites();
  using extractor = new Extractor(
    pending,
    new TarReader(new ByteReader(pending.pass(chunks))),
    root,
    options,
  );
  const entries = await extractor.run();
  await pending.finish();
  return entries;
}

class Extractor implements Disposable {
  readonly #files: FileExtractor;
  readonly #tar: TarReader;
  readonly #root: string;
  readonly #options: ExtractOptions;
  readonly #cursor: DirectoryCursor;
  /** Names and final attributes of the directories from the root to the cursor; attributes are set on leaving. */
  readonly #open: { readonly name: Buffer; readonly entry: TarEntry | undefined }[] = [];
  #rootEntry: TarEntry | undefined;

  constructor(pending: PendingWrites, tar: TarReader, root: string, options: ExtractOptions) {
    this.#files = new FileExtractor({ tar, pending, overlay: options.overlay });
    this.#tar = tar;
    this.#root = root;
    this.#options = options;
    this.#cursor = new DirectoryCursor(root);
  }

  async run(): Promise<number> {
    let entries = 0;
    for (let entry = await this.#tar.next(); entry !== undefined; entry = await this.#tar.next()) {
      entries += 1;
      if (entries > this.#options.mostEntries)
        throw errors.ARCHIVE_HOSTILE(
          `archive holds more than the recorded ${this.#options.mostEntries} entries`,
        );
      try {
        await this.#extract(entry);
      } catch (error) {
        throw refusal(entry, error);
      }
    }
    while (this.#open.length > 0) this.#leave();
    if (this.#rootEntry !== undefined) this.#seal(this.#rootEntry);
    return entries;
  }

  [Symbol.dispose](): void {
    this.#cursor[Symbol.dispose]();
  }

  async #extract(entry: TarEntry): Promise<void> {
    const names = splitLayerPath(entry.path);
    const last = names.pop();
    if (last === undefined) return this.#keepRoot(entry);
    this.#moveTo(names, entry);
    const meaning = parseLayerName(last);
    if (meaning.kind === "opaque")
      linux.setXattrSync(this.#cursor.fd, ...pair(opaqueXattr(this.#options.overlay)));
    else if (meaning.kind === "whiteout") this.#whiteout(meaning.name);
    else await this.#create(meaning.name, entry);
  }

  #keepRoot(entry: TarEntry): void {
    if (entry.type !== "directory" || this.#rootEntry !== undefined) throw duplicate(entry);
    this.#rootEntry = entry;
  }

  /** Leaves directories until the rest of the way down to `names` is none: only those of the current way may grow. */
  #moveTo(names: readonly Buffer[], entry: TarEntry): void {
    const real = names.map((name) => realName(name, entry));
    let common = 0;
    while (common < real.length && common < this.#open.length && same(real[common], this.#open[common]?.name))
      common += 1;
    if (common < real.length)
      throw errors.ARCHIVE_HOSTILE(`archive holds ${shown(entry.path)} outside of its directory's turn`);
    while (this.#open.length > common) this.#leave();
  }

  #leave(): void {
    const left = this.#open.pop();
    if (left?.entry !== undefined) this.#seal(left.entry);
    leaveFolder(this.#cursor);
  }

  /** Gives the current directory its final attributes; the time last, since everything before changes it. */
  #seal(entry: TarEntry): void {
    const { fd } = this.#cursor;
    fchownSync(fd, entry.uid, entry.gid);
    fchmodSync(fd, entry.mode);
    setXattrs(fd, entry, this.#options.overlay);
    linux.setDescriptorTimesSync(fd, { modified: entry.mtime });
  }

  #whiteout(name: Buffer): void {
    linux.setXattrSync(this.#cursor.fd, ...pair(originXattr(this.#options.overlay)));
    linux.makeDeviceSync(this.#cursor.child(checked(name)), "character", { major: 0, minor: 0 }, 0);
  }

  async #create(name: Buffer, entry: TarEntry): Promise<void> {
    if (entry.type === "file") return this.#files.make(this.#cursor.fd, checked(name), entry);
    const path = this.#cursor.child(checked(name));
    switch (entry.type) {
      case "directory":
        mkdirSync(path, 0o700);
        this.#cursor.enter(name);
        this.#open.push({ name, entry });
        return;
      case "link":
        return this.#link(path, entry);
      case "symlink":
        symlinkSync(entry.target ?? Buffer.alloc(0), path);
        break;
      case "fifo":
        linux.makeFifoSync(path, 0o600);
        break;
      case "character":
      case "block":
        linux.makeDeviceSync(path, entry.type, deviceOf(entry), 0o600);
        break;
    }
    lchownSync(path, entry.uid, entry.gid);
    // A link has no permissions of its own, and chmod would follow it.
    if (entry.type !== "symlink") chmodSync(path, entry.mode);
    setXattrs(path, entry, this.#options.overlay);
    linux.setTimesSync(path, { modified: entry.mtime });
  }

  /** The target is looked up from the root, one directory at a time, and a link itself is linked, not what it names. */
  #link(path: Buffer, entry: TarEntry): void {
    const names = splitLayerPath(entry.target ?? Buffer.alloc(0)).map((name) => realName(name, entry));
    const last = names.pop();
    if (last === undefined) throw errors.ARCHIVE_HOSTILE(`archive links ${shown(entry.path)} to its root`);
    using walk = new DirectoryCursor(this.#root);
    try {
      for (const name of names) walk.enter(name);
      linkSync(walk.child(last), path);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined || !["ENOENT", "ENOTDIR", "ELOOP", "EPERM"].includes(errno)) throw error;
      throw errors.ARCHIVE_HOSTILE(
        `archive links ${shown(entry.path)} to a file that it did not hold before`,
        { cause: error },
      );
    }
  }
}

const pair = ({ name, value }: { name: Buffer; value: Buffer }): [Buffer, Buffer] => [name, value];
const same = (a: Buffer | undefined, b: Buffer | undefined): boolean =>
  a !== undefined && b !== undefined && a.equals(b);
