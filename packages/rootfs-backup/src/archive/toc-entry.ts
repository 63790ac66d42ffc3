import { isUtf8 } from "node:buffer";
import type { linux } from "@aeon/core";
import * as v from "valibot";
import { errors } from "../errors.ts";
import type { TarEntryType } from "./tar-entry.ts";

/** Where a file's bytes are in the archive. */
export interface TocData {
  /** Number of the frame that holds the first byte. */
  readonly frame: number;
  /** Of the first byte in the archive. */
  readonly offset: number;
  readonly length: number;
  /** The bytes start with a map of the extents that follow (GNU.sparse 1.0). */
  readonly sparse: boolean;
  /** Of the `length` bytes, hexadecimal; so of the file's content unless `sparse`. */
  readonly sha256: string;
}

/** A name in a layer, as the container sees it: names and whiteouts are not escaped. */
export interface TocEntry {
  /** Without a slash at either end; `.` is the root. */
  readonly path: Buffer;
  readonly type: TarEntryType | "whiteout";
  /** Permission bits including setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since the epoch; may be negative. */
  readonly mtime: bigint;
  /** Length of a file, holes included; of a `link` that of its file. */
  readonly size: number;
  /** Of a `symlink`, or the first name of a `link`. */
  readonly target?: Buffer;
  readonly device?: linux.DeviceNumber;
  /** A directory that hides what lower layers have in it. */
  readonly opaque: boolean;
  /** Names only, as Latin-1 text. */
  readonly xattrs: readonly string[];
  /** Absent for what has no bytes; of a `link` that of its first name. */
  readonly data?: TocData;
}

/** JSON has no bytes: what is not UTF-8 goes as base64 under another key. */
function bytesField(name: string, value: Buffer): Record<string, string> {
  return isUtf8(value) ? { [name]: value.toString() } : { [`${name}Bytes`]: value.toString("base64") };
}

/** One line of the table of contents, without its end. */
export function encodeTocEntry(entry: TocEntry): string {
  const { path, type, mode, uid, gid, mtime, size, target, device, opaque, xattrs, data } = entry;
  return JSON.stringify({
    ...bytesField("path", path),
    type,
    mode,
    uid,
    gid,
    mtime: String(mtime),
    ...(size > 0 && { size }),
    ...(target !== undefined && bytesField("target", target)),
    ...(device !== undefined && { device: [device.major, device.minor] }),
    ...(opaque && { opaque }),
    ...(xattrs.length > 0 && { xattrs }),
    ...(data !== undefined && {
      frame: data.frame,
      offset: data.offset,
      length: data.length,
      ...(data.sparse && { sparse: true }),
      sha256: data.sha256,
    }),
  });
}

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const id = v.pipe(count, v.maxValue(0xffff_ffff));
const base64 = v.pipe(v.string(), v.base64());
const schema = v.object({
  path: v.optional(v.string()),
  pathBytes: v.optional(base64),
  type: v.picklist(["file", "link", "symlink", "character", "block", "directory", "fifo", "whiteout"]),
  mode: v.pipe(count, v.maxValue(0o7777)),
  uid: id,
  gid: id,
  mtime: v.pipe(v.string(), v.regex(/^-?\d{1,28}$/)),
  size: v.optional(count, 0),
  target: v.optional(v.string()),
  targetBytes: v.optional(base64),
  device: v.optional(v.tuple([id, id])),
  opaque: v.optional(v.literal(true)),
  xattrs: v.optional(v.array(v.string()), []),
  frame: v.optional(count),
  offset: v.optional(count),
  length: v.optional(count),
  sparse: v.optional(v.literal(true)),
  sha256: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
});

/** Reads a line. Throws `ARCHIVE_CORRUPT`; keys that it does not know are ignored. */
export function decodeTocEntry(line: string): TocEntry {
  const parsed = v.safeParse(schema, parseJson(line));
  if (!parsed.success)
    throw errors.ARCHIVE_CORRUPT(`table of contents holds a malformed line: ${v.summarize(parsed.issues)}`);
  const { output } = parsed;
  const path = bytesOf(output.path, output.pathBytes);
  if (path === undefined) throw errors.ARCHIVE_CORRUPT("table of contents holds a line without a path");
  const target = bytesOf(output.target, output.targetBytes);
  const { type, mode, uid, gid, size, device, xattrs, frame, offset, length, sha256 } = output;
  return {
    path,
    type,
    mode,
    uid,
    gid,
    mtime: BigInt(output.mtime),
    size,
    opaque: output.opaque ?? false,
    xattrs,
    ...(target !== undefined && { target }),
    ...(device !== undefined && { device: { major: device[0], minor: device[1] } }),
    ...(frame !== undefined &&
      offset !== undefined &&
      length !== undefined &&
      sha256 !== undefined && { data: { frame, offset, length, sparse: output.sparse ?? false, sha256 } }),
  };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw errors.ARCHIVE_CORRUPT("table of contents holds a line that is no JSON", { cause: error });
  }
}

function bytesOf(text: string | undefined, base64Text: string | undefined): Buffer | undefined {
  if (text !== undefined) return Buffer.from(text);
  return base64Text === undefined ? undefined : Buffer.from(base64Text, "base64");
}
