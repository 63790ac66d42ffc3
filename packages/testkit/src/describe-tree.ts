import { createHash } from "node:crypto";
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readFileSync } from "node:fs";
import { linux } from "@aeon/core";

/** What of a tree is compared. */
export interface DescribeOptions {
  /** Overlayfs's own attributes are compared only by their meaning. */
  readonly layer?: boolean;
  /** Where files have holes. Default true. */
  readonly holes?: boolean;
  /** Paths (Latin-1) to leave out. */
  readonly without?: (path: string) => boolean;
}

/**
 * Everything that a copy of a tree has to keep, as text by path (both Latin-1, so that any byte shows): type, ids,
 * mode, time, content, holes, devices, attributes, and which names are one file.
 */
export async function describeTree(
  root: string,
  options: DescribeOptions = {},
): Promise<Map<string, string>> {
  const described = new Map<string, string>();
  const inodes = new Map<string, string>();
  const visit = async (path: Buffer, shown: string): Promise<void> => {
    if (options.without?.(shown) === true) return;
    const stat = lstatSync(path, { bigint: true });
    const type = Number(stat.mode) & constants.S_IFMT;
    if (type === constants.S_IFSOCK) return;
    if (options.layer === true && type === constants.S_IFCHR && stat.rdev === 0n) {
      described.set(shown, "whiteout");
      return;
    }
    const facts = [
      `type=${type.toString(8)} mode=${(Number(stat.mode) & 0o7777).toString(8)} owner=${stat.uid}:${stat.gid} mtime=${stat.mtimeNs}`,
      ...xattrs(path, options.layer === true),
    ];
    if (type === constants.S_IFLNK)
      facts.push(`target=${readlinkSync(path, { encoding: "buffer" }).toString("latin1")}`);
    if (type === constants.S_IFCHR || type === constants.S_IFBLK) facts.push(`rdev=${stat.rdev}`);
    if (type === constants.S_IFREG) facts.push(await content(path, Number(stat.size), options.holes ?? true));
    if (type !== constants.S_IFDIR && stat.nlink > 1n) {
      const inode = `${stat.dev}:${stat.ino}`;
      const first = inodes.get(inode) ?? shown;
      inodes.set(inode, first);
      facts.push(`same=${first}`);
    }
    described.set(shown, facts.join(" "));
    if (type !== constants.S_IFDIR) return;
    for (const name of readdirSync(path, { encoding: "buffer" }).toSorted((a, b) => a.compare(b)))
      await visit(Buffer.concat([path, Buffer.from("/"), name]), `${shown}/${name.toString("latin1")}`);
  };
  await visit(Buffer.from(root), ".");
  return described;
}

function xattrs(path: Buffer, layer: boolean): string[] {
  const texts: string[] = [];
  for (const name of linux.listXattrsSync(path)) {
    const text = name.toString("latin1");
    const own = text.startsWith("trusted.overlay.") && !text.startsWith("trusted.overlay.overlay.");
    const value = linux.getXattrSync(path, name)?.toString("hex");
    if (layer && own && !(text === "trusted.overlay.opaque" && value === "79")) continue;
    texts.push(`${text}=${value}`);
  }
  return texts.toSorted();
}

async function content(path: Buffer, size: number, holes: boolean): Promise<string> {
  const digest =
    size > 64 * 1024 * 1024 ? `size ${size}` : createHash("sha256").update(readFileSync(path)).digest("hex");
  if (!holes) return `size=${size} content=${digest}`;
  const fd = openSync(path, constants.O_RDONLY);
  try {
    const extents: string[] = [];
    for (let position = 0; position < size;) {
      const data = await linux.nextData(fd, position);
      if (data === undefined) break;
      const hole = (await linux.nextHole(fd, data)) ?? size;
      extents.push(`${data}-${hole}`);
      position = hole;
    }
    return `size=${size} content=${digest} data=${extents.join(",")}`;
  } finally {
    closeSync(fd);
  }
}

/** The lines in which two trees differ, for readable failures. */
export function difference(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  const lines: string[] = [];
  for (const path of new Set([...a.keys(), ...b.keys()])) {
    const [left, right] = [a.get(path), b.get(path)];
    if (left !== right) lines.push(`${JSON.stringify(path)}: ${left ?? "absent"} | ${right ?? "absent"}`);
  }
  return lines;
}
