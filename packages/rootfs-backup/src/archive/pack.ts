import { closeSync, constants, fstatSync, openSync, readSync, readdirSync, type BigIntStats } from "node:fs";
import { errnoOf } from "@aeon/core";
import { DirectoryCursor } from "./directory-cursor.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { toContainer, type IdMaps } from "./id-map.ts";
import { byBytes, layerName, opaqueMarker, whiteoutName } from "./names.ts";
import type { OverlayNamespace } from "./overlay-xattrs.ts";
import { ReportBuilder, type EntryCount, type PackReport } from "./report.ts";
import { dataExtents, encodeSparseMap, hasHoles, type Extent } from "./sparse-map.ts";
import { blockSize, padding, type TarEntry } from "./tar-entry.ts";
import { encodeHeader } from "./tar-header.ts";
import { readUpperEntry, type Attributes, type UpperEntry, type UpperFormat } from "./upper-entry.ts";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

export interface PackOptions {
  readonly overlay: OverlayNamespace;
  /** Of a container in a user namespace whose upper directory holds the host's ids. */
  readonly idMaps?: IdMaps | undefined;
}

/**
 * Archives an upper directory as an OCI layer: names in byte order, whiteouts as `.wh.` files, the folder's own
 * attributes as the entry `.`. Equal trees give equal bytes. Throws `LAYER_INCOMPLETE`; a file that changes or
 * vanishes meanwhile is reported, never fatal.
 */
export async function packLayer(
  root: string,
  writer: FrameWriter,
  options: PackOptions,
): Promise<PackReport> {
  using packer = new Packer(root, writer, options);
  return await packer.run();
}

type PackedEntry = Extract<UpperEntry, { readonly attributes: Attributes }>;

/** Names that are left to visit in the directories above and in the current one. */
interface Level {
  readonly names: readonly Buffer[];
  next: number;
  /** The directory's path in the archive, empty for the root. */
  readonly path: Buffer;
}

const entryCounts = {
  file: "files",
  directory: "directories",
  symlink: "symlinks",
  character: "devices",
  block: "devices",
  fifo: "fifos",
} as const satisfies Record<PackedEntry["kind"], EntryCount>;

const marker = { mode: 0, uid: 0, gid: 0, mtime: 0n, size: 0, xattrs: [] } as const;

class Packer implements Disposable {
  readonly #cursor: DirectoryCursor;
  readonly #writer: FrameWriter;
  readonly #format: UpperFormat;
  readonly #report = new ReportBuilder();
  readonly #device: bigint;
  /** First name of every inode that has more than one. */
  readonly #linked = new Map<string, Buffer>();

  constructor(root: string, writer: FrameWriter, { overlay, idMaps }: PackOptions) {
    this.#cursor = new DirectoryCursor(root);
    this.#writer = writer;
    this.#format = { overlay, ids: idMaps && toContainer(idMaps) };
    this.#device = fstatSync(this.#cursor.fd, { bigint: true }).dev;
  }

  async run(): Promise<PackReport> {
    await this.#root();
    const levels: Level[] = [this.#list(Buffer.alloc(0))];
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names[level.next];
      level.next += 1;
      if (name === undefined) {
        levels.pop();
        if (levels.length > 0) this.#cursor.leave();
      } else if (await this.#visit(name, level.path)) {
        this.#cursor.enter(name);
        levels.push(this.#list(join(level.path, layerName(name))));
      }
    }
    await this.#writer.zeros(2 * blockSize);
    return this.#report.build();
  }

  [Symbol.dispose](): void {
    this.#cursor[Symbol.dispose]();
  }

  async #root(): Promise<void> {
    const path = Buffer.from(".");
    const entry = readUpperEntry(Buffer.from(`/proc/self/fd/${this.#cursor.fd}/.`), path, this.#format);
    if ("attributes" in entry) await this.#put(entry, path);
  }

  #list(path: Buffer): Level {
    const names = readdirSync(Buffer.from(`/proc/self/fd/${this.#cursor.fd}`), { encoding: "buffer" });
    return { names: names.toSorted(byBytes), next: 0, path };
  }

  /** Archives one name of the current directory; true when it is a directory to go into. */
  async #visit(name: Buffer, folder: Buffer): Promise<boolean> {
    const file = this.#cursor.child(name);
    const path = join(folder, layerName(name));
    const entry = this.#read(file, path);
    if (entry === undefined) return false;
    if (entry.kind === "whiteout") {
      this.#report.count("whiteouts");
      await this.#header({ ...marker, type: "file", path: join(folder, whiteoutName(name)) });
      return false;
    }
    if (entry.kind === "other") {
      this.#report.deviation("skipped", path, entry.what);
      return false;
    }
    if (entry.stat.dev !== this.#device) {
      this.#report.deviation("skipped", path, "another file system is mounted there");
      return false;
    }
    await this.#put(entry, path, file);
    return entry.kind === "directory";
  }

  #read(file: Buffer, path: Buffer): UpperEntry | undefined {
    try {
      return readUpperEntry(file, path, this.#format);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      this.#report.deviation("torn", path, "vanished while it was read");
      return undefined;
    }
  }

  async #put(entry: PackedEntry, path: Buffer, file?: Buffer): Promise<void> {
    for (const reason of entry.dropped) this.#report.deviation("dropped", path, reason);
    const first = this.#firstName(entry, path);
    if (first !== undefined) {
      this.#report.count("links");
      await this.#header({ ...entry.attributes, xattrs: [], type: "link", path, target: first, size: 0 });
      return;
    }
    this.#report.count(entryCounts[entry.kind]);
    if (entry.kind === "file" && file !== undefined) await this.#file(entry, path, file);
    else
      await this.#header({
        ...entry.attributes,
        type: entry.kind,
        path,
        size: 0,
        ...(entry.target !== undefined && { target: entry.target }),
        ...(entry.device !== undefined && { device: entry.device }),
      });
    if (!entry.opaque) return;
    this.#report.count("opaques");
    await this.#header({ ...marker, type: "file", path: join(path, opaqueMarker) });
  }

  #firstName({ kind, stat }: PackedEntry, path: Buffer): Buffer | undefined {
    if (kind === "directory" || stat.nlink < 2n) return undefined;
    const inode = `${stat.ino}`;
    const first = this.#linked.get(inode);
    if (first === undefined) this.#linked.set(inode, path);
    return first;
  }

  async #file({ attributes, stat }: PackedEntry, path: Buffer, file: Buffer): Promise<void> {
    const size = Number(stat.size);
    if (size === 0) return this.#header({ ...attributes, type: "file", path, size });
    const fd = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const extents = maybeSparse(stat, attributes) ? await dataExtents(fd, size) : undefined;
      if (extents !== undefined && hasHoles(extents, size))
        await this.#sparse({ ...attributes, type: "file", path, size }, fd, extents);
      else {
        await this.#header({ ...attributes, type: "file", path, size });
        await this.#data(fd, { offset: 0, length: size });
        await this.#writer.zeros(padding(size));
      }
      if (changed(stat, fstatSync(fd, { bigint: true })))
        this.#report.deviation("torn", path, "changed while it was read");
    } finally {
      closeSync(fd);
    }
  }

  async #sparse(entry: TarEntry, fd: number, extents: readonly Extent[]): Promise<void> {
    const map = encodeSparseMap(extents, entry.size);
    const size = extents.reduce((sum, { length }) => sum + length, map.length);
    await this.#header({ ...entry, size, sparseSize: entry.size });
    await this.#writer.write(map);
    for (const extent of extents) await this.#data(fd, extent);
    await this.#writer.zeros(padding(size));
  }

  /** Zeros stand for what a file lost since its size was written. */
  async #data(fd: number, { offset, length }: Extent): Promise<void> {
    for (let done = 0; done < length;) {
      const room = await this.#writer.room();
      const count = readSync(fd, room, 0, Math.min(room.length, length - done), offset + done);
      if (count === 0) return this.#writer.zeros(length - done);
      this.#writer.advance(count);
      done += count;
    }
  }

  async #header(entry: TarEntry): Promise<void> {
    await this.#writer.write(encodeHeader(entry));
  }
}

function join(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 0 ? name : Buffer.concat([folder, Buffer.from("/"), name]);
}

/** Looking for holes costs two calls, so small files whose blocks cover them are not asked. */
const alwaysAsked = 1024n * 1024n;
/** Blocks that a file's attributes may take, bytes. */
const xattrBlocks = 8192n;

/** Blocks are no proof: those of extended attributes and of extent trees count too. */
function maybeSparse({ size, blocks }: BigIntStats, { xattrs }: Attributes): boolean {
  return size > alwaysAsked || blocks * 512n - (xattrs.length > 0 ? xattrBlocks : 0n) < size;
}

const changed = (before: BigIntStats, after: BigIntStats): boolean =>
  before.mtimeNs !== after.mtimeNs || before.size !== after.size || before.ctimeNs !== after.ctimeNs;
