import { constants, lstatSync, readlinkSync, type BigIntStats } from "node:fs";
import { linux } from "@aeon/core";
import { errors } from "../errors.ts";
import { overflowId, shiftXattr, type IdShift } from "./id-map.ts";
import { byBytes } from "./names.ts";
import { readUpperXattr, type OverlayNamespace } from "./overlay-xattrs.ts";
import type { TarEntryType, Xattr } from "./tar-entry.ts";

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO } = constants;

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

/** One name in an upper directory, interpreted. */
export type UpperEntry =
  | { readonly kind: "whiteout" }
  /** Sockets and unknown types, which no archive holds. */
  | { readonly kind: "other"; readonly what: string }
  | {
      readonly kind: Exclude<TarEntryType, "link">;
      readonly stat: BigIntStats;
      readonly attributes: Attributes;
      /** Directories only: hides what lower layers have in it. */
      readonly opaque: boolean;
      /** Attributes that are left out, and why. */
      readonly dropped: readonly string[];
      readonly device?: linux.DeviceNumber;
      readonly target?: Buffer;
    };

const kinds = new Map<number, Exclude<TarEntryType, "link">>([
  [S_IFREG, "file"],
  [S_IFDIR, "directory"],
  [S_IFLNK, "symlink"],
  [S_IFCHR, "character"],
  [S_IFBLK, "block"],
  [S_IFIFO, "fifo"],
]);

/** How an upper directory stores what a container sees. */
export interface UpperFormat {
  readonly overlay: OverlayNamespace;
  /** From the stored ids to the container's; absent when they are the same. */
  readonly ids?: IdShift | undefined;
}

/** Looks at a file of an upper directory without following it. `shownPath` is for errors. */
export function readUpperEntry(path: Buffer, shownPath: Buffer, { overlay, ids }: UpperFormat): UpperEntry {
  const stat = lstatSync(path, { bigint: true });
  const mode = Number(stat.mode);
  const kind = kinds.get(mode & S_IFMT);
  if (kind === undefined)
    return { kind: "other", what: (mode & S_IFMT) === constants.S_IFSOCK ? "socket" : "unknown type" };
  if (kind === "character" && stat.rdev === 0n) return { kind: "whiteout" };
  const found = readXattrs(path, shownPath, overlay);
  if (found.whiteout && kind === "file" && stat.size === 0n) return { kind: "whiteout" };
  const stored: Attributes = {
    mode: mode & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: stat.mtimeNs,
    xattrs: found.data,
  };
  const attributes = ids === undefined ? stored : shifted(stored, ids, found.dropped);
  return {
    kind,
    stat,
    attributes,
    opaque: found.opaque && kind === "directory",
    dropped: found.dropped,
    ...((kind === "character" || kind === "block") && { device: linux.deviceNumber(stat.rdev) }),
    ...(kind === "symlink" && { target: readlinkSync(path, { encoding: "buffer" }) }),
  };
}

function shifted(stored: Attributes, ids: IdShift, dropped: string[]): Attributes {
  const uid = ids.uid(stored.uid);
  const gid = ids.gid(stored.gid);
  if (uid === undefined) dropped.push(`owner ${stored.uid} is outside of the container's id map`);
  if (gid === undefined) dropped.push(`group ${stored.gid} is outside of the container's id map`);
  const xattrs = stored.xattrs.map((xattr) => shiftXattr(xattr, ids));
  return { ...stored, uid: uid ?? overflowId, gid: gid ?? overflowId, xattrs };
}

interface FoundXattrs {
  readonly data: Xattr[];
  readonly dropped: string[];
  readonly opaque: boolean;
  readonly whiteout: boolean;
}

function readXattrs(path: Buffer, shownPath: Buffer, overlay: OverlayNamespace): FoundXattrs {
  const names = linux.listXattrsSync(path);
  const data: Xattr[] = [];
  const dropped: string[] = [];
  let [opaque, whiteout] = [false, false];
  for (const name of names.toSorted(byBytes)) {
    const value = linux.getXattrSync(path, name);
    if (value === undefined) continue;
    const meaning = readUpperXattr({ name, value }, overlay);
    if (meaning.kind === "elsewhere")
      throw errors.LAYER_INCOMPLETE(
        `${shownPath.toString()} carries ${name.toString()}: its content is not in this layer; mount containers with metacopy=off,redirect_dir=off`,
      );
    if (meaning.kind === "data") data.push(meaning.xattr);
    if (meaning.kind === "dropped") dropped.push(meaning.reason);
    opaque ||= meaning.kind === "opaque";
    whiteout ||= meaning.kind === "whiteout";
  }
  return { data: data.toSorted((a, b) => byBytes(a.name, b.name)), dropped, opaque, whiteout };
}
