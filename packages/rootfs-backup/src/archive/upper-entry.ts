import { constants, readlinkSync } from "node:fs";
import { linux } from "@aeon/core";
import { errors } from "../errors.ts";
import { overflowId, shiftXattr, type IdShift } from "./id-map.ts";
import { byBytes } from "./names.ts";
import { readUpperXattr, type OverlayNamespace } from "./overlay-xattrs.ts";
import type { TarEntryType, Xattr } from "./tar-entry.ts";

const { S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO } = constants;

/** Permissions, owner, time and extended attributes of a file, in the container's view. */
export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  /** Sorted by name. */
  readonly xattrs: readonly Xattr[];
}

/** What a name in an upper directory can be in an archive; all but directories may have several names. */
export type UpperKind = Exclude<TarEntryType, "link">;

/** One name in an upper directory, interpreted. */
export interface UpperEntry {
  readonly kind: UpperKind;
  readonly status: linux.FileStatus;
  readonly attributes: Attributes;
  /** Directories only: hides what lower layers have in it. */
  readonly opaque: boolean;
  /** Attributes that are left out, and why. */
  readonly dropped: readonly string[];
  readonly device?: linux.DeviceNumber;
  readonly target?: Buffer;
}

const kinds = new Map<number, UpperKind>([
  [S_IFREG, "file"],
  [S_IFDIR, "directory"],
  [S_IFLNK, "symlink"],
  [S_IFCHR, "character"],
  [S_IFBLK, "block"],
  [S_IFIFO, "fifo"],
]);

/** Undefined for sockets and unknown types, which no archive holds. */
export const kindOf = ({ type }: linux.FileStatus): UpperKind | undefined => kinds.get(type);

/** The usual form of a deleted name. */
export const isWhiteout = ({ type, represents }: linux.FileStatus): boolean =>
  type === S_IFCHR && represents.major === 0 && represents.minor === 0;

/** How an upper directory stores what a container sees. */
export interface UpperFormat {
  readonly overlay: OverlayNamespace;
  /** From the stored ids to the container's; absent when they are the same. */
  readonly ids?: IdShift | undefined;
}

/** Where a file is: open, or by a path whose last component is not followed; the path in the container is for errors. */
export interface UpperFile {
  readonly kind: UpperKind;
  readonly status: linux.FileStatus;
  readonly at: Buffer | number;
  readonly path: Buffer;
}

/** Interprets what an upper directory stores for a file. Throws `LAYER_INCOMPLETE`. */
export function readUpperEntry({ kind, status, at, path }: UpperFile, format: UpperFormat): UpperEntry {
  const found = readXattrs(at, path, format.overlay);
  if (status.isProtected) found.dropped.push("immutable and append-only flags are not kept");
  return {
    kind,
    status,
    attributes: { ...ownerOf(status, format, found.dropped), xattrs: shiftedXattrs(found.data, format) },
    opaque: found.opaque && kind === "directory",
    dropped: found.dropped,
    ...((kind === "character" || kind === "block") && { device: status.represents }),
    ...(kind === "symlink" && typeof at !== "number" && { target: readlinkSync(at, { encoding: "buffer" }) }),
  };
}

/** All of a file's attributes that its status tells. */
export function ownerOf(
  { mode, uid, gid, modified }: linux.FileStatus,
  { ids }: UpperFormat,
  dropped: string[] = [],
): Omit<Attributes, "xattrs"> {
  if (ids === undefined) return { mode, uid, gid, mtime: modified };
  const [shownUid, shownGid] = [ids.uid(uid), ids.gid(gid)];
  if (shownUid === undefined) dropped.push(`owner ${uid} is outside of the container's id map`);
  if (shownGid === undefined) dropped.push(`group ${gid} is outside of the container's id map`);
  return { mode, uid: shownUid ?? overflowId, gid: shownGid ?? overflowId, mtime: modified };
}

const shiftedXattrs = (xattrs: readonly Xattr[], { ids }: UpperFormat): readonly Xattr[] =>
  ids === undefined ? xattrs : xattrs.map((xattr) => shiftXattr(xattr, ids));

interface FoundXattrs {
  readonly data: Xattr[];
  readonly dropped: string[];
  readonly opaque: boolean;
}

function readXattrs(at: Buffer | number, path: Buffer, overlay: OverlayNamespace): FoundXattrs {
  const names = linux.listXattrsSync(at);
  if (names.length === 0) return { data: [], dropped: [], opaque: false };
  const data: Xattr[] = [];
  const dropped: string[] = [];
  let opaque = false;
  for (const name of names.toSorted(byBytes)) {
    const value = linux.getXattrSync(at, name);
    if (value === undefined) continue;
    const meaning = readUpperXattr({ name, value }, overlay);
    if (meaning.kind === "elsewhere")
      throw errors.LAYER_INCOMPLETE(
        `${path.toString()} carries ${name.toString()}: its content is not in this layer; mount containers with metacopy=off,redirect_dir=off`,
      );
    if (meaning.kind === "data") data.push(meaning.xattr);
    if (meaning.kind === "dropped") dropped.push(meaning.reason);
    opaque ||= meaning.kind === "opaque";
  }
  return { data: data.toSorted((a, b) => byBytes(a.name, b.name)), dropped, opaque };
}
