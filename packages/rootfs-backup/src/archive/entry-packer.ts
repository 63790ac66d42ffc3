import { closeSync } from "node:fs";
import { linux } from "@aeon/core";
import { asFolder, joinBytes, type Paths } from "./archive-path.ts";
import { isAllowed, type DevicePolicy } from "./device-policy.ts";
import { keptTogether, type FrameWriter } from "./frame-writer.ts";
import type { StackEntry } from "./layer-stack.ts";
import { opaqueMarker, whiteoutName } from "./names.ts";
import { packContent } from "./pack-content.ts";
import type { EntryCount, ReportBuilder } from "./report.ts";
import { hasChanged, openForReading } from "./source-file.ts";
import type { TarEntry, Xattr } from "./tar-entry.ts";
import { encodeHeader } from "./tar-header.ts";
import type { TocData, TocEntry } from "./toc-entry.ts";
import type { TocWriter } from "./toc-writer.ts";
import { kindOf, readUpperEntry, type UpperEntry, type UpperKind } from "./upper-entry.ts";

/** Where a layer and its table of contents go; the caller finishes both. */
export interface PackOutput {
  readonly layer: FrameWriter;
  readonly toc: TocWriter;
}

export interface EntryPackerOptions extends PackOutput {
  readonly report: ReportBuilder;
  /** As the container sees them, without the first slash, in Latin-1. */
  readonly mounts: ReadonlySet<string>;
  readonly devices: DevicePolicy;
}

/** A name that was found and is to be archived. */
export interface Visited {
  readonly name: Buffer;
  readonly paths: Paths;
  readonly kind: UpperKind;
  readonly found: StackEntry;
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

/** How often a file that changes meanwhile is read before it is taken as it comes. */
export const mostAttempts = 4;

/** Writes single entries of a tree to an archive and its table of contents. */
export class EntryPacker {
  readonly #options: EntryPackerOptions;
  readonly #linked = new Map<string, FirstName>();

  constructor(options: EntryPackerOptions) {
    this.#options = options;
  }

  whiteout(name: Buffer, { real }: Paths, folder: Paths): void {
    this.#options.report.count("whiteouts");
    this.#header({ ...marker, type: "file", path: joinBytes(folder.archive, whiteoutName(name)) });
    this.#options.toc.add({ ...marker, path: real, type: "whiteout" });
  }

  /** False for a directory that is only there to be mounted on, which is left out. */
  directory(paths: Paths, entry: UpperEntry, isEmpty: () => boolean): boolean {
    if (this.#isStub(paths, entry) && isEmpty()) return false;
    this.#put(entry, paths);
    if (!entry.opaque) return true;
    this.#options.report.count("opaques");
    this.#header({ ...marker, type: "file", path: joinBytes(asFolder(paths).archive, opaqueMarker) });
    return true;
  }

  /** Archives anything but a directory. */
  async entry(visited: Visited): Promise<void> {
    const { paths, kind, found } = visited;
    const { status, file, format } = found;
    if (this.#link(paths, found, kind)) return;
    if (kind === "file") return this.#file(visited);
    if (
      (kind === "character" || kind === "block") &&
      !isAllowed(kind, status.represents, this.#options.devices)
    ) {
      const { major, minor } = status.represents;
      const reason = `${kind} device ${major}:${minor} is not kept`;
      return this.#options.report.deviation("skipped", paths.real, reason);
    }
    this.#put(readUpperEntry({ kind, status, at: file, path: paths.real }, format), paths);
  }

  /** True when the inode has an earlier name, to which this one becomes a hard link. */
  #link(paths: Paths, { status, file, format }: StackEntry, kind: UpperKind): boolean {
    const first = status.links < 2 ? undefined : this.#linked.get(inodeOf(status));
    if (first === undefined) return false;
    first.left -= 1;
    if (first.left === 0) this.#linked.delete(inodeOf(status));
    this.#options.report.count("links");
    const { attributes } = readUpperEntry({ kind, status, at: file, path: paths.real }, format);
    const link = { ...marker, ...attributes, type: "link" as const };
    const xattrs = attributes.xattrs.filter(isCapability);
    this.#header({ ...link, xattrs, path: paths.archive, target: first.paths.archive });
    this.#options.toc.add({
      ...link,
      ...first.content,
      xattrs: [],
      path: paths.real,
      target: first.paths.real,
    });
    return true;
  }

  async #file({ name, paths, found }: Visited): Promise<void> {
    const { format } = found;
    const fd = openForReading(found.directory, name);
    try {
      for (let attempt = 1; ; attempt += 1) {
        // Whatever happened to a small file since it was found is seen once it was read.
        const isFresh = attempt === 1 && canBeTakenBack(found.status);
        const status = isFresh ? found.status : linux.statDescriptorSync(fd);
        // It was replaced between looking and opening.
        if (kindOf(status) !== "file") throw new linux.LinuxError("ENXIO", "open", paths.real.toString());
        const entry = readUpperEntry({ kind: "file", status, at: fd, path: paths.real }, format);
        if (status.size === 0) return this.#isStub(paths, entry) ? undefined : this.#put(entry, paths);
        const header = { ...entry.attributes, type: "file", path: paths.archive } as const;
        const { data, start } = await packContent(this.#options.layer, { fd, header, status });
        const isTorn = hasChanged(status, linux.statDescriptorSync(fd));
        if (isTorn && start !== undefined && attempt < mostAttempts) {
          this.#options.layer.rewind(start);
          this.#options.report.retried();
          continue;
        }
        if (isTorn) this.#options.report.deviation("torn", paths.real, "changed while it was read");
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
    this.#options.report.count(entryCounts[kind]);
    for (const reason of dropped) this.#options.report.deviation("dropped", paths.real, reason);
    this.#options.toc.add({
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
      this.#options.mounts.size > 0 &&
      attributes.xattrs.length === 0 &&
      !opaque &&
      this.#options.mounts.has(real.toString("latin1"))
    );
  }

  #header(entry: TarEntry): void {
    this.#options.layer.write(encodeHeader(entry));
  }
}

/** What is archived of such a file can be rewound, so that it need not be looked at again before it is read. */
const canBeTakenBack = ({ size, blocks }: linux.FileStatus): boolean =>
  size > 0 && size <= keptTogether / 2 && blocks * 512 >= size;

const inodeOf = ({ device, inode }: linux.FileStatus): string => `${device}:${inode}`;

/** Other tools give a link its owner again, which takes the file's capabilities away. */
const isCapability = ({ name }: Xattr): boolean => name.toString("latin1") === "security.capability";
