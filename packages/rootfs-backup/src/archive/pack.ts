import { createHash, type Hash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from "node:fs";
import type { FrameWriter } from "./frame-writer.ts";
import type { IdMaps } from "./id-map.ts";
import { LayerStack, stackOf } from "./layer-stack.ts";
import { layerName, opaqueMarker, whiteoutName } from "./names.ts";
import type { OverlayNamespace } from "./overlay-xattrs.ts";
import { ReportBuilder, type EntryCount, type PackReport } from "./report.ts";
import { dataExtents, encodeSparseMap, hasHoles, type Extent } from "./sparse-map.ts";
import { blockSize, padding, type TarEntry, type Xattr } from "./tar-entry.ts";
import { encodeHeader } from "./tar-header.ts";
import type { TocData, TocEntry } from "./toc-entry.ts";
import type { TocWriter } from "./toc-writer.ts";
import type { Attributes, UpperEntry } from "./upper-entry.ts";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

export interface PackOptions {
  readonly overlay: OverlayNamespace;
  /** Of a container in a user namespace whose upper directory holds the host's ids. */
  readonly idMaps?: IdMaps | undefined;
  /** Unpacked layers that lie under the directory and are archived with it as one layer; the lowest first. */
  readonly lowers?: readonly string[] | undefined;
}

/**
 * Archives an upper directory as an OCI layer: names in byte order, whiteouts as `.wh.` files, the folder's own
 * attributes as the entry `.`. Equal trees give equal bytes. Throws `LAYER_INCOMPLETE`; a file that changes or
 * vanishes meanwhile is reported, never fatal.
 */
export async function packLayer(root: string, output: PackOutput, options: PackOptions): Promise<PackReport> {
  using packer = new Packer(root, output, options);
  return await packer.run();
}

/** Where a layer and its table of contents go; the caller finishes both. */
export interface PackOutput {
  readonly layer: FrameWriter;
  readonly toc: TocWriter;
}

type PackedEntry = Extract<UpperEntry, { readonly attributes: Attributes }>;

/** Names that are left to visit in the directories above and in the current one. */
interface Level {
  readonly names: readonly Buffer[];
  next: number;
  readonly folder: Paths;
}

/** A name in the archive and as the container sees it; both are empty for the root. */
interface Paths {
  readonly archive: Buffer;
  readonly real: Buffer;
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
/** What only some entries of a table of contents have. */
const unmarked = { opaque: false } as const;

class Packer implements Disposable {
  readonly #stack: LayerStack;
  readonly #writer: FrameWriter;
  readonly #toc: TocWriter;
  readonly #report = new ReportBuilder();
  /** First name of every inode that has more than one. */
  readonly #linked = new Map<string, Paths>();
  /** Content of those, so that each name of a file leads to it. */
  readonly #linkedContent = new WeakMap<Paths, Pick<TocEntry, "size" | "data">>();

  constructor(root: string, { layer, toc }: PackOutput, options: PackOptions) {
    this.#stack = new LayerStack(stackOf({ source: root, ...options }));
    this.#writer = layer;
    this.#toc = toc;
  }

  async run(): Promise<PackReport> {
    await this.#root();
    const levels: Level[] = [this.#list({ archive: empty, real: empty })];
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names[level.next];
      level.next += 1;
      if (name === undefined) {
        levels.pop();
        if (levels.length > 0) this.#stack.leave();
      } else {
        const path = below(level.folder, name);
        if (!(await this.#visit(name, path, level.folder))) continue;
        this.#stack.enter(name);
        levels.push(this.#list(path));
      }
    }
    await this.#writer.zeros(2 * blockSize);
    return this.#report.build();
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
  }

  async #root(): Promise<void> {
    const entry = this.#stack.root(dot);
    if ("attributes" in entry) await this.#put(entry, { archive: dot, real: dot });
  }

  #list(folder: Paths): Level {
    return { names: this.#stack.names(), next: 0, folder };
  }

  /** Archives one name of the current directory; true when it is a directory to go into. */
  async #visit(name: Buffer, path: Paths, folder: Paths): Promise<boolean> {
    const found = this.#stack.read(name, path.real);
    if (found === "hidden") return false;
    if (found === "vanished") {
      this.#report.deviation("torn", path.real, "vanished while it was read");
      return false;
    }
    const { entry, file, foreign } = found;
    if (entry.kind === "whiteout") {
      this.#report.count("whiteouts");
      await this.#header({ ...marker, type: "file", path: join(folder.archive, whiteoutName(name)) });
      await this.#toc.add({ ...marker, ...unmarked, path: path.real, type: "whiteout" });
      return false;
    }
    if (entry.kind === "other") {
      this.#report.deviation("skipped", path.real, entry.what);
      return false;
    }
    if (foreign) {
      this.#report.deviation("skipped", path.real, "another file system is mounted there");
      return false;
    }
    await this.#put(entry, path, file);
    return entry.kind === "directory";
  }

  async #put(entry: PackedEntry, path: Paths, file?: Buffer): Promise<void> {
    for (const reason of entry.dropped) this.#report.deviation("dropped", path.real, reason);
    const first = this.#firstName(entry, path);
    if (first !== undefined) {
      this.#report.count("links");
      const link = { ...entry.attributes, xattrs: [], type: "link" as const, size: 0 };
      const xattrs = entry.attributes.xattrs.filter(isCapability);
      await this.#header({ ...link, xattrs, path: path.archive, target: first.archive });
      const content = this.#linkedContent.get(first);
      await this.#toc.add({ ...link, ...unmarked, ...content, path: path.real, target: first.real });
      return;
    }
    this.#report.count(entryCounts[entry.kind]);
    if (entry.kind === "file" && file !== undefined) return this.#file(entry, path, file);
    const facts = {
      ...entry.attributes,
      type: entry.kind,
      size: 0,
      ...(entry.target !== undefined && { target: entry.target }),
      ...(entry.device !== undefined && { device: entry.device }),
    };
    await this.#header({ ...facts, path: path.archive });
    await this.#contents(entry, path);
    if (!entry.opaque) return;
    this.#report.count("opaques");
    const inside = path.archive.equals(dot) ? empty : path.archive;
    await this.#header({ ...marker, type: "file", path: join(inside, opaqueMarker) });
  }

  /** Lists an entry in the table of contents. */
  async #contents(entry: PackedEntry, path: Paths, size = 0, data?: TocData): Promise<void> {
    const { attributes, kind, opaque, stat, target, device } = entry;
    if (stat.nlink > 1n && data !== undefined) this.#linkedContent.set(path, { size, data });
    await this.#toc.add({
      ...attributes,
      path: path.real,
      type: kind,
      size,
      opaque,
      xattrs: attributes.xattrs.map(({ name }) => name.toString("latin1")),
      ...(target !== undefined && { target }),
      ...(device !== undefined && { device }),
      ...(data !== undefined && { data }),
    });
  }

  #firstName({ kind, stat }: PackedEntry, path: Paths): Paths | undefined {
    if (kind === "directory" || stat.nlink < 2n) return undefined;
    const inode = `${stat.dev}:${stat.ino}`;
    const first = this.#linked.get(inode);
    if (first === undefined) this.#linked.set(inode, path);
    return first;
  }

  async #file(entry: PackedEntry, path: Paths, file: Buffer): Promise<void> {
    const { attributes, stat } = entry;
    const size = Number(stat.size);
    const header = { ...attributes, type: "file", path: path.archive, size } as const;
    if (size === 0) {
      await this.#header(header);
      return this.#contents(entry, path);
    }
    const fd = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const extents = maybeSparse(stat, attributes) ? await dataExtents(fd, size) : undefined;
      const data =
        extents !== undefined && hasHoles(extents, size)
          ? await this.#sparse(header, fd, extents)
          : await this.#whole(header, fd);
      if (changed(stat, fstatSync(fd, { bigint: true })))
        this.#report.deviation("torn", path.real, "changed while it was read");
      await this.#contents(entry, path, size, data);
    } finally {
      closeSync(fd);
    }
  }

  async #whole(entry: TarEntry, fd: number): Promise<TocData> {
    await this.#header(entry);
    const place = this.#place(entry.size, false);
    const hash = createHash("sha256");
    await this.#data(fd, { offset: 0, length: entry.size }, hash);
    await this.#writer.zeros(padding(entry.size));
    return { ...place, sha256: hash.digest("hex") };
  }

  async #sparse(entry: TarEntry, fd: number, extents: readonly Extent[]): Promise<TocData> {
    const map = encodeSparseMap(extents, entry.size);
    const size = extents.reduce((sum, { length }) => sum + length, map.length);
    await this.#header({ ...entry, size, sparseSize: entry.size });
    const place = this.#place(size, true);
    const hash = createHash("sha256").update(map);
    await this.#writer.write(map);
    for (const extent of extents) await this.#data(fd, extent, hash);
    await this.#writer.zeros(padding(size));
    return { ...place, sha256: hash.digest("hex") };
  }

  #place(length: number, sparse: boolean) {
    return { frame: this.#writer.frame, offset: this.#writer.rawSize, length, sparse };
  }

  /** Zeros stand for what a file lost since its size was written. */
  async #data(fd: number, { offset, length }: Extent, hash: Hash): Promise<void> {
    for (let done = 0; done < length;) {
      const room = (await this.#writer.room()).subarray(0, length - done);
      const count = readSync(fd, room, 0, room.length, offset + done);
      if (count === 0) room.fill(0);
      const piece = count === 0 ? room : room.subarray(0, count);
      hash.update(piece);
      this.#writer.advance(piece.length);
      done += piece.length;
    }
  }

  async #header(entry: TarEntry): Promise<void> {
    await this.#writer.write(encodeHeader(entry));
  }
}

/** Other tools give a link its owner again, which takes the file's capabilities away. */
const isCapability = ({ name }: Xattr): boolean => name.toString("latin1") === "security.capability";

const empty = Buffer.alloc(0);
const dot = Buffer.from(".");

function below(folder: Paths, name: Buffer): Paths {
  const real = join(folder.real, name);
  const inArchive = layerName(name);
  const same = inArchive === name && folder.archive === folder.real;
  return { real, archive: same ? real : join(folder.archive, inArchive) };
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
