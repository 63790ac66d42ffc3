import { errors } from "../errors.ts";
import type { TarEntry, Xattr } from "./tar-entry.ts";

/** Keywords and values of an extended header; keywords as Latin-1 text, so that any byte survives. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

const xattrPrefix = "SCHILY.xattr.";
const second = 1_000_000_000n;

/** Encodes one `length keyword=value\n` record; the length counts itself. */
export function paxRecord(keyword: string, value: Buffer | string): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  const rest = Buffer.byteLength(keyword, "latin1") + bytes.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${keyword}=`, "latin1"), bytes, Buffer.from("\n")]);
}

/** Decodes an extended header. Throws `ARCHIVE_CORRUPT` on anything that is not a sequence of records. */
export function parsePax(data: Buffer): PaxRecords {
  const records = new Map<string, Buffer>();
  for (let start = 0; start < data.length;) {
    const space = data.indexOf(0x20, start);
    const digits = space < 0 || space - start > 9 ? "" : data.toString("latin1", start, space);
    const end = start + Number(digits);
    const equals = data.indexOf(0x3d, space);
    if (
      !/^[1-9]\d*$/.test(digits) ||
      end > data.length ||
      data[end - 1] !== 0x0a ||
      equals < 0 ||
      equals >= end
    )
      throw errors.ARCHIVE_CORRUPT("archive holds a malformed extended header");
    records.set(data.toString("latin1", space + 1, equals), data.subarray(equals + 1, end - 1));
    start = end;
  }
  return records;
}

/** Time as a decimal number of seconds with nine digits after the point. */
export function formatTime(nanoseconds: bigint): string {
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = String(magnitude % second).padStart(9, "0");
  return `${nanoseconds < 0n ? "-" : ""}${magnitude / second}.${fraction}`;
}

/** Reads what {@link formatTime} writes, and any number of digits after the point. */
export function parseTime(text: string): bigint {
  const match = /^(-?)(\d{1,18})(?:\.(\d+))?$/.exec(text);
  if (match === null)
    throw errors.ARCHIVE_CORRUPT(`archive holds the malformed time ${JSON.stringify(text.slice(0, 40))}`);
  const magnitude = BigInt(match[2] ?? "0") * second + BigInt((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  return match[1] === "-" ? -magnitude : magnitude;
}

/** Reads a non-negative decimal number up to 2^53. */
export function parseCount(value: Buffer, keyword: string): number {
  const text = value.toString("latin1");
  const count = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(count))
    throw errors.ARCHIVE_CORRUPT(
      `archive holds the malformed ${keyword} ${JSON.stringify(text.slice(0, 40))}`,
    );
  return count;
}

/** `=` would end the keyword; GNU tar writes it, and `%`, in this form too. */
const escapeKeyword = (name: string): string => name.replaceAll("%", "%25").replaceAll("=", "%3D");
const unescapeKeyword = (name: string): string => name.replaceAll("%3D", "=").replaceAll("%25", "%");

/** Records for all that the fixed header of an entry cannot hold, in a fixed order. */
export function paxOf(
  entry: TarEntry,
  limits: { readonly path: number; readonly id: number; readonly size: number },
): Buffer {
  const records: Buffer[] = [];
  const add = (keyword: string, value: Buffer | string) => records.push(paxRecord(keyword, value));
  if (entry.sparseSize !== undefined) {
    add("GNU.sparse.major", "1");
    add("GNU.sparse.minor", "0");
    add("GNU.sparse.name", entry.path);
    add("GNU.sparse.realsize", String(entry.sparseSize));
  } else if (entry.path.length > limits.path) add("path", entry.path);
  if (entry.target !== undefined && entry.target.length > limits.path) add("linkpath", entry.target);
  if (entry.size > limits.size) add("size", String(entry.size));
  if (entry.uid > limits.id) add("uid", String(entry.uid));
  if (entry.gid > limits.id) add("gid", String(entry.gid));
  if (entry.mtime % second !== 0n || entry.mtime < 0n || entry.mtime / second > BigInt(limits.size))
    add("mtime", formatTime(entry.mtime));
  for (const { name, value } of entry.xattrs)
    add(xattrPrefix + escapeKeyword(name.toString("latin1")), value);
  return Buffer.concat(records);
}

/** The extended attributes among the records. */
export function xattrsOf(records: PaxRecords): Xattr[] {
  const xattrs: Xattr[] = [];
  for (const [keyword, value] of records)
    if (keyword.startsWith(xattrPrefix))
      xattrs.push({
        name: Buffer.from(unescapeKeyword(keyword.slice(xattrPrefix.length)), "latin1"),
        value: Buffer.from(value),
      });
  return xattrs;
}
