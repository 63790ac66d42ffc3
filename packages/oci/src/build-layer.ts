import { Header, type HeaderData } from "tar";
import { errors } from "./errors.ts";
import type { LayerEntry } from "./layer-entry.ts";
import { opaquePath, whiteoutPath } from "./whiteout.ts";

const block = 512;

/** Packs entries, in their order, as the uncompressed tar of an OCI layer; the same entries give the same bytes. */
export function buildLayer(entries: readonly LayerEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap(pack), Buffer.alloc(2 * block)]);
}

function pack(entry: LayerEntry): readonly Buffer[] {
  const path = checkedPath(pathOf(entry));
  const content = entry.type === "file" ? Buffer.from(entry.content) : Buffer.alloc(0);
  const data: HeaderData = {
    path: entry.type === "directory" ? `${path}/` : path,
    mode: entry.mode ?? (entry.type === "directory" ? 0o755 : 0o644),
    uid: entry.uid ?? 0,
    gid: entry.gid ?? 0,
    size: content.length,
    mtime: new Date((entry.mtime ?? 0) * 1000),
    type: tarTypes[entry.type],
    ...("target" in entry && { linkpath: entry.target }),
    ...("major" in entry && { devmaj: entry.major, devmin: entry.minor }),
  };
  const records = paxRecords(entry, data);
  return [
    ...(records.length > 0 ? [header({ ...data, ...paxHeader, size: records.length }), padded(records)] : []),
    header(data),
    padded(content),
  ];
}

const tarTypes = {
  file: "File",
  directory: "Directory",
  symlink: "SymbolicLink",
  link: "Link",
  character: "CharacterDevice",
  block: "BlockDevice",
  fifo: "FIFO",
  whiteout: "File",
  opaque: "File",
} as const satisfies Record<LayerEntry["type"], HeaderData["type"]>;

const paxHeader = { path: "PaxHeader", linkpath: "", type: "ExtendedHeader" } as const;

function pathOf(entry: LayerEntry): string {
  if (entry.type === "whiteout") return whiteoutPath(entry.path);
  return entry.type === "opaque" ? opaquePath(entry.path) : entry.path;
}

function checkedPath(path: string): string {
  const parts = path.split("/");
  if (path.includes("\0") || parts.some((part) => part === "" || part === "..") || path.startsWith("./"))
    throw errors.LAYER_ENTRY_INVALID(`${JSON.stringify(path)} is not a path inside an image`);
  return path;
}

function header(data: HeaderData): Buffer {
  const bytes = Buffer.alloc(block);
  new Header(data).encode(bytes, 0);
  return bytes;
}

function paxRecords(entry: LayerEntry, data: HeaderData): Buffer {
  const long = (key: "path" | "linkpath"): readonly Buffer[] => {
    const value = data[key] ?? "";
    return Buffer.byteLength(value) > 100 || /[^\x20-\x7e]/.test(value)
      ? [record(key, Buffer.from(value))]
      : [];
  };
  const attributes = Object.entries(entry.xattrs ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => record(`SCHILY.xattr.${name}`, Buffer.from(value)));
  return Buffer.concat([...long("path"), ...long("linkpath"), ...attributes]);
}

/** One pax record: its own length in decimal, space, key=value, newline (POSIX pax, "pax Header Block"). */
function record(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let digits = String(rest.length).length;
  if (String(rest.length + digits).length > digits) digits += 1;
  return Buffer.concat([Buffer.from(String(rest.length + digits)), rest]);
}

const padded = (content: Buffer): Buffer =>
  Buffer.concat([content, Buffer.alloc((block - (content.length % block)) % block)]);
