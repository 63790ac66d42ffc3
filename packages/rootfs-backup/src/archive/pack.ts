import { closeSync, constants } from "node:fs";
import { errnoOf, linux } from "@aeon/core";
import { isAllowed, type DevicePolicy } from "./device-policy.ts";
import { Exclusions } from "./exclusions.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { IdMaps } from "./id-map.ts";
import { LayerStack, stackOf, type StackEntry } from "./layer-stack.ts";
import { layerName, opaqueMarker, whiteoutName } from "./names.ts";
import type { OverlayNamespace } from "./overlay-xattrs.ts";
import { packContent } from "./pack-content.ts";
import { ReportBuilder, type EntryCount, type PackReport } from "./report.ts";
import { blockSize, type TarEntry, type Xattr } from "./tar-entry.ts";
import { encodeHeader } from "./tar-header.ts";
import type { TocData, TocEntry } from "./toc-entry.ts";
import type { TocWriter } from "./toc-writer.ts";
import { kindOf, readUpperEntry, type UpperEntry, type UpperKind } from "./upper-entry.ts";

export interface PackOptions {
  readonly overlay: OverlayNamespace;
  /** Of a container in a user namespace whose upper directory holds the host's ids. */
  readonly idMaps?: IdMaps | undefined;
  /** Unpacked layers that lie under the directory and are archived with it as one layer; the lowest first. */
  readonly lowers?: readonly string[] | undefined;
  /** Absolute paths in the container with `*`, `?`, `[a-z]` and `**`; see Exclusions. */
  readonly exclude?: readonly string[] | undefined;
  /** Absolute paths in the container on which its runtime mounts: what is empty there is left out. */
  readonly mounts?: readonly string[] | undefined;
  /** Default `all`. */
  readonly devices?: DevicePolicy | undefined;
}

/** Where a layer and its table of contents go; the caller finishes both. */
export interface PackOutput {
  readonly layer: FrameWriter;
  readonly toc: TocWriter;
}

/**
 * Archives an upper directory as an OCI layer: names in byte order, whiteouts as `.wh.` files, the folder's own
 * attributes as the entry `.`. Equal trees give equal bytes. Throws `LAYER_INCOMPLETE`, `EXCLUSION_INVALID`; a file
 * that changes or vanishes meanwhile is read again or reported, never fatal.
 */
export async function packLayer(root: string, output: PackOutput, options: PackOptions): Promise<PackReport> {
  using packer = new Packer(root, output, options);
  return await packer.run();
}

/** Names that are left to visit in the directories above and in the current one. */
interface Level {
  readonly names: readonly string[];
  next: number;
  readonly folder: Paths;
}

/** A name in the archive and as the container sees it; both are empty for the root. */
interface Paths {
  readonly archive: Buffer;
  readonly real: Buffer;
}

/** The first name of an inode, how many more there may be, and what it holds. */
interface FirstName {
  readonly paths: Paths;
  readonly content: Pick<TocEntry, "size" | "data">;
  left: number;
}

const entryCounts = {
  file: "files",
  directory: "directories",
  symlink: "symlinks",
  character: "devices",
  block: "devices",
  fifo: "fifos",
} as const satisfies Record<UpperKind, EntryCount>;

const marker = { mode: 0, uid: 0, gid: 0, mtime: 0n, size: 0, xattrs: [], opaque: false } as const;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOATIME } = constants;
const readFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;

/** How often a file that changes meanwhile is read before it is taken as it comes. */
const mostAttempts = 4;
/** What looking at a name again may help against: it was removed or replaced by another type. */
const replaced = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENXIO", "ESTALE"]);

class Packer implements Disposable {
  readonly #stack: LayerStack;
  readonly #writer: FrameWriter;
  readonly #toc: TocWriter;
  readonly #exclusions: Exclusions;
  readonly #mounts: ReadonlySet<string>;
  readonly #devices: DevicePolicy;
  readonly #report = new ReportBuilder();
  readonly #linked = new Map<string, FirstName>();

  constructor(root: string, { layer, toc }: PackOutput, options: PackOptions) {
    const { exclude, mounts, devices } = options;
    this.#exclusions = new Exclusions(exclude ?? []);
    this.#stack = new LayerStack(stackOf({ source: root, ...options }));
    this.#writer = layer;
    this.#toc = toc;
    this.#mounts = new Set(mounts?.map((path) => path.slice(1)));
    this.#devices = devices ?? "all";
  }

  async run(): Promise<PackReport> {
    this.#directory({ archive: dot, real: dot }, this.#stack.root(dot));
    const levels: Level[] = [this.#list({ archive: empty, real: empty })];
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names[level.next];
      level.next += 1;
      if (name === undefined) {
        levels.pop();
        if (levels.length > 0) this.#stack.leave();
        continue;
      }
      const bytes = Buffer.from(name, "latin1");
      const paths = below(level.folder, bytes);
      if (await this.#visit(bytes, paths, level.folder)) levels.push(this.#list(paths));
      if (this.#writer.isCongested) await this.#writer.drain();
      if (this.#toc.isCongested) await this.#toc.drain();
    }
    this.#writer.zeros(2 * blockSize);
    return this.#report.build();
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
  }

  #list(folder: Paths): Level {
    return { names: this.#stack.names(), next: 0, folder };
  }

  /** Archives one name of the current directory; true when it is a directory, which is the current one then. */
  async #visit(name: Buffer, paths: Paths, folder: Paths): Promise<boolean> {
    const pattern = this.#exclusions.match(paths.real);
    if (pattern !== undefined) {
      this.#report.deviation("excluded", paths.real, `matches ${pattern}`);
      return false;
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        const found = this.#stack.find(name);
        if (found === "hidden") return false;
        if (found === "vanished") throw new linux.LinuxError("ENOENT", "statx", paths.real.toString());
        const kind = kindOf(found.status);
        if (found.whiteout) this.#whiteout(name, paths, folder);
        else if (kind === undefined) this.#skip(paths, isSocket(found.status) ? "socket" : "unknown type");
        else if (found.foreign) this.#skip(paths, "another file system is mounted there");
        else if (kind === "directory") return this.#enter(name, paths, found.at);
        else if (!this.#link(paths, found, kind)) await this.#entry({ name, paths, kind, found });
        return false;
      } catch (error) {
        if (!replaced.has(errnoOf(error) ?? "")) throw error;
        if (attempt < mostAttempts && errnoOf(error) !== "ENOENT") continue;
        this.#report.deviation("torn", paths.real, "vanished or was replaced while it was read");
        return false;
      }
    }
  }

  #skip({ real }: Paths, reason: string): void {
    this.#report.deviation("skipped", real, reason);
  }

  #whiteout(name: Buffer, { real }: Paths, folder: Paths): void {
    this.#report.count("whiteouts");
    this.#header({ ...marker, type: "file", path: join(folder.archive, whiteoutName(name)) });
    this.#toc.add({ ...marker, path: real, type: "whiteout" });
  }

  #enter(name: Buffer, paths: Paths, at: number): boolean {
    if (this.#directory(paths, this.#stack.enter(name, at, paths.real))) return true;
    this.#stack.leave();
    return false;
  }

  /** Archives the current directory itself, unless it is only there to be mounted on. */
  #directory(paths: Paths, entry: UpperEntry): boolean {
    if (this.#isStub(paths, entry) && this.#stack.names().length === 0) return false;
    this.#put(entry, paths);
    if (!entry.opaque) return true;
    this.#report.count("opaques");
    const inside = paths.archive === dot ? empty : paths.archive;
    this.#header({ ...marker, type: "file", path: join(inside, opaqueMarker) });
    return true;
  }

  /** True when the inode has an earlier name, to which this one becomes a hard link. */
  #link(paths: Paths, { status, file, format }: StackEntry, kind: UpperKind): boolean {
    const first = status.links < 2 ? undefined : this.#linked.get(inodeOf(status));
    if (first === undefined) return false;
    first.left -= 1;
    if (first.left === 0) this.#linked.delete(inodeOf(status));
    this.#report.count("links");
    const { attributes } = readUpperEntry({ kind, status, at: file, path: paths.real }, format);
    const link = { ...marker, ...attributes, type: "link" as const };
    const xattrs = attributes.xattrs.filter(isCapability);
    this.#header({ ...link, xattrs, path: paths.archive, target: first.paths.archive });
    this.#toc.add({ ...link, ...first.content, xattrs: [], path: paths.real, target: first.paths.real });
    return true;
  }

  async #entry(visited: Visited): Promise<void> {
    const { paths, kind, found } = visited;
    const { status, file, format } = found;
    if (kind === "file") return this.#file(visited);
    if ((kind === "character" || kind === "block") && !isAllowed(kind, status.represents, this.#devices)) {
      const { major, minor } = status.represents;
      return this.#skip(paths, `${kind} device ${major}:${minor} is not kept`);
    }
    this.#put(readUpperEntry({ kind, status, at: file, path: paths.real }, format), paths);
  }

  async #file({ name, paths, found: { directory, format } }: Visited): Promise<void> {
    const fd = openForReading(directory, name);
    try {
      for (let attempt = 1; ; attempt += 1) {
        const status = linux.statDescriptorSync(fd);
        // It was replaced between looking and opening.
        if (kindOf(status) !== "file") throw new linux.LinuxError("ENXIO", "open", paths.real.toString());
        const entry = readUpperEntry({ kind: "file", status, at: fd, path: paths.real }, format);
        if (status.size === 0) return this.#isStub(paths, entry) ? undefined : this.#put(entry, paths);
        const header = { ...entry.attributes, type: "file", path: paths.archive } as const;
        const { data, start } = await packContent(this.#writer, { fd, header, status });
        const isTorn = hasChanged(status, linux.statDescriptorSync(fd));
        if (isTorn && start !== undefined && attempt < mostAttempts) {
          this.#writer.rewind(start);
          this.#report.retried();
          continue;
        }
        if (isTorn) this.#report.deviation("torn", paths.real, "changed while it was read");
        return this.#account(entry, paths, data);
      }
    } finally {
      closeSync(fd);
    }
  }

  /** Archives what has no bytes. */
  #put(entry: UpperEntry, paths: Paths): void {
    const { attributes, kind, target, device } = entry;
    this.#header({
      ...attributes,
      type: kind,
      path: paths.archive,
      size: 0,
      ...(target !== undefined && { target }),
      ...(device !== undefined && { device }),
    });
    this.#account(entry, paths);
  }

  /** Counts an archived entry and lists it in the table of contents. */
  #account(entry: UpperEntry, paths: Paths, data?: TocData): void {
    const { attributes, kind, status, opaque, target, device, dropped } = entry;
    const content = data === undefined ? { size: 0 } : { size: status.size, data };
    this.#report.count(entryCounts[kind]);
    for (const reason of dropped) this.#report.deviation("dropped", paths.real, reason);
    this.#toc.add({
      ...attributes,
      ...content,
      path: paths.real,
      type: kind,
      opaque,
      xattrs: attributes.xattrs.map(({ name }) => name.toString("latin1")),
      ...(target !== undefined && { target }),
      ...(device !== undefined && { device }),
    });
    // Later names of the inode become hard links to this one.
    if (kind !== "directory" && status.links > 1)
      this.#linked.set(inodeOf(status), { paths, content, left: status.links - 1 });
  }

  #isStub({ real }: Paths, { attributes, opaque }: UpperEntry): boolean {
    return (
      this.#mounts.size > 0 &&
      attributes.xattrs.length === 0 &&
      !opaque &&
      this.#mounts.has(real.toString("latin1"))
    );
  }

  #header(entry: TarEntry): void {
    this.#writer.write(encodeHeader(entry));
  }
}

interface Visited {
  readonly name: Buffer;
  readonly paths: Paths;
  readonly kind: UpperKind;
  readonly found: StackEntry;
}

/** Without touching its access time, which only its owner may ask for. */
function openForReading(directory: number, name: Buffer): number {
  try {
    return linux.openAtSync(directory, name, readFlags | O_NOATIME);
  } catch (error) {
    if (errnoOf(error) !== "EPERM") throw error;
    return linux.openAtSync(directory, name, readFlags);
  }
}

const inodeOf = ({ device, inode }: linux.FileStatus): string => `${device}:${inode}`;

/** Other tools give a link its owner again, which takes the file's capabilities away. */
const isCapability = ({ name }: Xattr): boolean => name.toString("latin1") === "security.capability";

const isSocket = ({ type }: linux.FileStatus): boolean => type === constants.S_IFSOCK;

const hasChanged = (before: linux.FileStatus, after: linux.FileStatus): boolean =>
  before.modified !== after.modified || before.size !== after.size || before.changed !== after.changed;

const empty = Buffer.alloc(0);
const dot = Buffer.from(".");

function below(folder: Paths, name: Buffer): Paths {
  const real = join(folder.real, name);
  const inArchive = layerName(name);
  const same = inArchive === name && folder.archive === folder.real;
  return { real, archive: same ? real : join(folder.archive, inArchive) };
}

const slash = 0x2f;

function join(folder: Buffer, name: Buffer): Buffer {
  if (folder.length === 0) return name;
  const path = Buffer.allocUnsafe(folder.length + 1 + name.length);
  folder.copy(path);
  path[folder.length] = slash;
  name.copy(path, folder.length + 1);
  return path;
}
