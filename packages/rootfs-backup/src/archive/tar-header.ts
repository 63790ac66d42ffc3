import { errors } from "../errors.ts";
import { parseCount, parseTime, paxOf, xattrsOf, type PaxRecords } from "./pax.ts";
import { blockSize, largestPax, padding, type TarEntry, type TarEntryType } from "./tar-entry.ts";

const typeFlags = {
  file: "0",
  link: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
} as const satisfies Record<TarEntryType, string>;

const typesByFlag = new Map<string, TarEntryType>([
  ["\0", "file"],
  ["0", "file"],
  ["1", "link"],
  ["2", "symlink"],
  ["3", "character"],
  ["4", "block"],
  ["5", "directory"],
  ["6", "fifo"],
]);

/** Offset and length of each field (POSIX.1-2001 ustar interchange format). */
const fields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  linkname: [157, 100],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
} as const;
type Field = keyof typeof fields;
const typeFlagOffset = 156;
const magicOffset = 257;

/** What a field of seven or eleven octal digits holds. */
const limits = { path: 100, id: 0o7777777, size: 0o77777777777 } as const;

/** Encodes a header, preceded by an extended header when the entry needs one. */
export function encodeHeader(entry: TarEntry): Buffer {
  const pax = paxOf(entry, limits);
  if (pax.length > largestPax)
    throw errors.ARCHIVE_UNSUPPORTED(`attributes of ${entry.path.toString()} exceed ${largestPax} bytes`);
  const header = ustar(entry);
  if (pax.length === 0) return header;
  return Buffer.concat([extendedHeader(pax.length), pax, zeros.subarray(0, padding(pax.length)), header]);
}

const zeros = Buffer.alloc(blockSize);

/** Extended headers differ in their length only, and nearly all are short. */
const extendedHeaders: Buffer[] = [];
const extendedHeader = (size: number): Buffer =>
  size < blockSize ? (extendedHeaders[size] ??= newExtendedHeader(size)) : newExtendedHeader(size);
const newExtendedHeader = (size: number): Buffer => ustar({ ...paxEntry, size }, "x");

const paxEntry: TarEntry = {
  path: Buffer.from("././@PaxHeader"),
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 0n,
  size: 0,
  xattrs: [],
};

function ustar(entry: TarEntry, flag: string = typeFlags[entry.type]): Buffer {
  const header = Buffer.alloc(blockSize);
  const name = entry.sparseSize === undefined ? entry.path : Buffer.from("GNUSparseFile.0/file");
  const seconds = entry.mtime / 1_000_000_000n;
  name.copy(header, 0, 0, Math.min(name.length, limits.path));
  putOctal(header, "mode", entry.mode);
  putOctal(header, "uid", entry.uid > limits.id ? 0 : entry.uid);
  putOctal(header, "gid", entry.gid > limits.id ? 0 : entry.gid);
  putOctal(header, "size", entry.size > limits.size ? 0 : entry.size);
  putOctal(header, "mtime", entry.mtime < 0n || seconds > BigInt(limits.size) ? 0 : Number(seconds));
  header.write(flag, typeFlagOffset, "latin1");
  entry.target?.copy(header, fields.linkname[0], 0, Math.min(entry.target.length, limits.path));
  header.write("ustar\u000000", magicOffset, "latin1");
  putOctal(header, "devmajor", entry.device?.major ?? 0);
  putOctal(header, "devminor", entry.device?.minor ?? 0);
  header.write(`${checksum(header).toString(8).padStart(6, "0")}\0 `, fields.checksum[0], "latin1");
  return header;
}

/** Digits with leading zeros; the field ends with the NUL that is there. */
function putOctal(header: Buffer, field: Field, value: number): void {
  const [offset, length] = fields[field];
  for (let at = offset + length - 2, rest = value; at >= offset; at -= 1, rest = Math.floor(rest / 8))
    header[at] = 0x30 + (rest % 8);
}

/** Sum of all bytes with the checksum's own field taken as spaces. */
function checksum(header: Buffer): number {
  const [offset, length] = fields.checksum;
  let sum = 0x20 * length;
  for (let index = 0; index < offset; index += 1) sum += header[index] ?? 0;
  for (let index = offset + length; index < blockSize; index += 1) sum += header[index] ?? 0;
  return sum;
}

/** A block as read: either announces an extended header, or is an entry's own header. */
export type RawHeader =
  | { readonly kind: "pax"; readonly size: number }
  | { readonly kind: "entry"; readonly block: Buffer };

/** Checks a block's checksum and says what it is. Throws `ARCHIVE_CORRUPT` or `ARCHIVE_UNSUPPORTED`. */
export function classifyHeader(block: Buffer): RawHeader {
  if (getOctal(block, "checksum") !== checksum(block))
    throw errors.ARCHIVE_CORRUPT("archive holds a header with a wrong checksum");
  const flag = block.toString("latin1", typeFlagOffset, typeFlagOffset + 1);
  if (flag !== "x") return { kind: "entry", block };
  const size = getNumber(block, "size");
  if (size > largestPax)
    throw errors.ARCHIVE_HOSTILE(
      `archive holds an extended header of ${size} bytes, more than ${largestPax}`,
    );
  return { kind: "pax", size };
}

/** Builds the entry from its header and the extended header before it. */
export function decodeHeader(block: Buffer, pax: PaxRecords): TarEntry {
  const flag = block.toString("latin1", typeFlagOffset, typeFlagOffset + 1);
  const type = typesByFlag.get(flag);
  if (type === undefined)
    throw errors.ARCHIVE_UNSUPPORTED(`archive holds an entry of type ${JSON.stringify(flag)}`);
  const sparse = sparseOf(pax);
  const path = pax.get("GNU.sparse.name") ?? pax.get("path") ?? plainPath(block);
  const count = (field: "uid" | "gid" | "size") => {
    const value = pax.get(field);
    return value === undefined ? getNumber(block, field) : parseCount(value, field);
  };
  const mtime = pax.get("mtime");
  const hasTarget = type === "link" || type === "symlink";
  const isDevice = type === "character" || type === "block";
  return {
    path: withoutSlash(Buffer.from(path)),
    type,
    mode: getOctal(block, "mode") & 0o7777,
    uid: within(count("uid"), "uid", largestId),
    gid: within(count("gid"), "gid", largestId),
    mtime:
      mtime === undefined
        ? BigInt(getNumber(block, "mtime")) * 1_000_000_000n
        : parseTime(mtime.toString("latin1")),
    size: type === "file" ? count("size") : 0,
    xattrs: xattrsOf(pax),
    ...(sparse !== undefined && type === "file" && { sparseSize: sparse }),
    ...(hasTarget && { target: Buffer.from(pax.get("linkpath") ?? text(block, "linkname")) }),
    ...(isDevice && { device: deviceIn(block) }),
  };
}

/** Of the kernel: the next one, -1, means no change. */
const largestId = 0xffff_fffe;
const largestMajor = 0xfff;
const largestMinor = 0xf_ffff;

const deviceIn = (block: Buffer): { major: number; minor: number } => ({
  major: within(getNumber(block, "devmajor"), "devmajor", largestMajor),
  minor: within(getNumber(block, "devminor"), "devminor", largestMinor),
});

function within(value: number, field: Field, most: number): number {
  if (value <= most) return value;
  throw errors.ARCHIVE_CORRUPT(`archive holds the ${field} ${value}, which no file can have`);
}

function sparseOf(pax: PaxRecords): number | undefined {
  const major = pax.get("GNU.sparse.major")?.toString("latin1");
  const size = pax.get("GNU.sparse.realsize");
  if (major === "1" && pax.get("GNU.sparse.minor")?.toString("latin1") === "0" && size !== undefined)
    return parseCount(size, "GNU.sparse.realsize");
  for (const keyword of pax.keys())
    if (keyword.startsWith("GNU.sparse."))
      throw errors.ARCHIVE_UNSUPPORTED("archive holds a sparse file in another form than GNU.sparse 1.0");
  return undefined;
}

function plainPath(block: Buffer): Buffer {
  const prefix = text(block, "prefix");
  const name = text(block, "name");
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from("/"), name]);
}

function withoutSlash(path: Buffer): Buffer {
  let end = path.length;
  while (end > 1 && path[end - 1] === 0x2f) end -= 1;
  return path.subarray(0, end);
}

function text(block: Buffer, field: Field): Buffer {
  const [offset, length] = fields[field];
  const bytes = block.subarray(offset, offset + length);
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function getOctal(block: Buffer, field: Field): number {
  const digits = text(block, field).toString("latin1").trim();
  if (!/^[0-7]*$/.test(digits))
    throw errors.ARCHIVE_CORRUPT(`archive holds a header with a malformed ${field}`);
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

/** Octal digits, or a big-endian number marked by the first byte's top bit (GNU tar's base 256). */
function getNumber(block: Buffer, field: Field): number {
  const [offset, length] = fields[field];
  const first = block[offset] ?? 0;
  if ((first & 0x80) === 0) return getOctal(block, field);
  if (first !== 0x80) {
    if (field === "mtime" && first === 0xff)
      return Number(BigInt.asIntN(64, block.readBigUInt64BE(offset + length - 8)));
    throw errors.ARCHIVE_CORRUPT(`archive holds a header with a malformed ${field}`);
  }
  let value = 0n;
  for (const byte of block.subarray(offset + 1, offset + length)) value = (value << 8n) | BigInt(byte);
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw errors.ARCHIVE_CORRUPT(`archive holds a header with a huge ${field}`);
  return Number(value);
}
