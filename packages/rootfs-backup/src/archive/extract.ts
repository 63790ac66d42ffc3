import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  symlinkSync,
  writeSync,
  chmodSync,
} from "node:fs";
import { errnoOf, errorMessage, linux } from "@aeon/core";
import { DirectoryCursor } from "@aeon/core/trees";
import { errors } from "../errors.ts";
import { splitLayerPath } from "./layer-path.ts";
import { leaveFolder } from "./leave-folder.ts";
import { parseLayerName } from "./names.ts";
import { lowerXattrName, opaqueXattr, originXattr, type OverlayNamespace } from "./overlay-xattrs.ts";
import { readSparseMap, type Extent } from "./sparse-map.ts";
import type { TarEntry } from "./tar-entry.ts";
import type { TarReader } from "./tar-reader.ts";

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

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
 * Throws `ARCHIVE_HOSTILE`, `ARCHIVE_CORRUPT`, `ARCHIVE_UNSUPPORTED`. Returns the number of entries.
 */
export async function extractLayer(tar: TarReader, root: string, options: ExtractOptions): Promise<number> {
  using extractor = new Extractor(tar, root, options);
  return await extractor.run();
}

class Extractor implements Disposable {
  readonly #tar: TarReader;
  readonly #root: string;
  readonly #options: ExtractOptions;
  readonly #cursor: DirectoryCursor;
  /** Names and final attributes of the directories from the root to the cursor; attributes are set on leaving. */
  readonly #open: { readonly name: Buffer; readonly entry: TarEntry | undefined }[] = [];
  #rootEntry: TarEntry | undefined;

  constructor(tar: TarReader, root: string, options: ExtractOptions) {
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
    this.#setXattrs(fd, entry);
    linux.setDescriptorTimesSync(fd, { modified: entry.mtime });
  }

  #whiteout(name: Buffer): void {
    linux.setXattrSync(this.#cursor.fd, ...pair(originXattr(this.#options.overlay)));
    linux.makeDeviceSync(this.#cursor.child(checked(name)), "character", { major: 0, minor: 0 }, 0);
  }

  async #create(name: Buffer, entry: TarEntry): Promise<void> {
    if (entry.type === "file") return this.#file(checked(name), entry);
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
    this.#setXattrs(path, entry);
    linux.setTimesSync(path, { modified: entry.mtime });
  }

  async #file(name: Buffer, entry: TarEntry): Promise<void> {
    const fd = linux.openAtSync(this.#cursor.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      if (entry.sparseSize === undefined) await this.#data(fd, 0, entry.size);
      else await this.#sparse(fd, entry.sparseSize);
      // Changing the owner clears setuid bits and capabilities, so it comes first.
      fchownSync(fd, entry.uid, entry.gid);
      fchmodSync(fd, entry.mode);
      this.#setXattrs(fd, entry);
      linux.setDescriptorTimesSync(fd, { modified: entry.mtime });
    } finally {
      closeSync(fd);
    }
  }

  async #data(fd: number, offset: number, length: number): Promise<void> {
    for (let done = 0; done < length;) {
      const piece = await this.#tar.data(length - done);
      if (piece.length === 0)
        throw errors.ARCHIVE_CORRUPT("archive holds a file that is shorter than its header says");
      for (let written = 0; written < piece.length;)
        written += writeSync(fd, piece, written, piece.length - written, offset + done + written);
      done += piece.length;
    }
  }

  async #sparse(fd: number, size: number): Promise<void> {
    const extents: Extent[] = await readSparseMap(this.#tar, size);
    ftruncateSync(fd, size);
    for (const { offset, length } of extents) await this.#data(fd, offset, length);
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

  #setXattrs(target: linux.XattrTarget, { xattrs }: TarEntry): void {
    for (const { name, value } of xattrs)
      linux.setXattrSync(target, lowerXattrName(name, this.#options.overlay), value);
  }
}

const pair = ({ name, value }: { name: Buffer; value: Buffer }): [Buffer, Buffer] => [name, value];
const same = (a: Buffer | undefined, b: Buffer | undefined): boolean =>
  a !== undefined && b !== undefined && a.equals(b);
const shown = (path: Buffer): string => JSON.stringify(path.subarray(0, 200).toString());

/** A component on the way to an entry, which cannot be a whiteout or a marker. */
function realName(name: Buffer, entry: TarEntry): Buffer {
  const meaning = parseLayerName(name);
  if (meaning.kind !== "file")
    throw errors.ARCHIVE_HOSTILE(`archive holds ${shown(entry.path)} below a deleted file`);
  return checked(meaning.name);
}

/** What is left of a name without its prefix must be a name still. */
function checked(name: Buffer): Buffer {
  const text = name.toString("latin1");
  if (text === "" || text === "." || text === ".." || name.length > 255)
    throw errors.ARCHIVE_HOSTILE(`archive holds the name ${shown(name)}`);
  return name;
}

/** 0:0 would be a whiteout; layers write those as `.wh.` names only. */
function deviceOf(entry: TarEntry): linux.DeviceNumber {
  const device = entry.device ?? { major: 0, minor: 0 };
  if (entry.type === "character" && device.major === 0 && device.minor === 0)
    throw errors.ARCHIVE_HOSTILE(`archive holds the device 0:0 at ${shown(entry.path)}`);
  return device;
}

/** What the kernel, or Node before it, does not take from anybody. */
const impossible = new Set([
  "ENAMETOOLONG",
  "EINVAL",
  "E2BIG",
  "EFBIG",
  "ERANGE",
  "ERR_INVALID_ARG_VALUE",
  "ERR_OUT_OF_RANGE",
]);

function refusal(entry: TarEntry, error: unknown): unknown {
  // Node's own checks have codes that are no errno.
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const errno = typeof code === "string" ? code : "";
  if (errno === "EEXIST") return duplicate(entry, error);
  // Only a link without a target is not there when it is made.
  if (impossible.has(errno) || (errno === "ENOENT" && entry.type === "symlink"))
    return errors.ARCHIVE_CORRUPT(
      `archive holds ${shown(entry.path)}, which no file system has: ${errorMessage(error)}`,
      { cause: error },
    );
  return error;
}

const duplicate = (entry: TarEntry, cause?: unknown) =>
  errors.ARCHIVE_HOSTILE(`archive holds ${shown(entry.path)} twice`, { cause });
