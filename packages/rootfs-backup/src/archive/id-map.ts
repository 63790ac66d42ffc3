import type { Xattr } from "./tar-entry.ts";

/** `size` ids from `container` on, as the container sees them, are those from `host` on in its upper directory. */
export interface IdRange {
  readonly container: number;
  readonly host: number;
  readonly size: number;
}

/** How the ids of a container in a user namespace are stored. Layers hold the container's own ids. */
export interface IdMaps {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

/** What a container sees for an id outside of its map (`/proc/sys/kernel/overflowuid`). */
export const overflowId = 65_534;

/** Changes ids; undefined for an id that has no counterpart. */
export interface IdShift {
  readonly uid: (id: number) => number | undefined;
  readonly gid: (id: number) => number | undefined;
}

const shifter =
  (ranges: readonly IdRange[], from: "container" | "host", to: "container" | "host") =>
  (id: number): number | undefined => {
    const range = ranges.find((each) => id >= each[from] && id < each[from] + each.size);
    return range === undefined ? undefined : range[to] + (id - range[from]);
  };

export const toContainer = ({ uids, gids }: IdMaps): IdShift => ({
  uid: shifter(uids, "host", "container"),
  gid: shifter(gids, "host", "container"),
});

export const toHost = ({ uids, gids }: IdMaps): IdShift => ({
  uid: shifter(uids, "container", "host"),
  gid: shifter(gids, "container", "host"),
});

/** Reads `container:host:size[,…]`, the form of mount options and snapshot labels. Undefined when malformed. */
export function parseIdRanges(text: string): readonly IdRange[] | undefined {
  const ranges: IdRange[] = [];
  for (const part of text.split(",")) {
    const [, container, host, size] = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(part) ?? [];
    if (container === undefined || host === undefined || size === undefined) return undefined;
    ranges.push({ container: Number(container), host: Number(host), size: Number(size) });
  }
  return ranges;
}

const aclNames = new Set(["system.posix_acl_access", "system.posix_acl_default"]);
/** linux/posix_acl_xattr.h: a version of 4 bytes, then entries of tag, permissions and id. */
const acl = { header: 4, entry: 8, idOffset: 4, user: 0x02, group: 0x08 } as const;
/** linux/capability.h: revision 3 ends with the uid of the namespace's root. */
const capability = { name: "security.capability", revision3: 0x03, size3: 24, rootOffset: 20 } as const;

/** The attribute with the ids inside of it changed; those that have no counterpart become the overflow id. */
export function shiftXattr(xattr: Xattr, { uid, gid }: IdShift): Xattr {
  const name = xattr.name.toString("latin1");
  const value = Buffer.from(xattr.value);
  if (aclNames.has(name))
    for (let at = acl.header; at + acl.entry <= value.length; at += acl.entry) {
      const tag = value.readUInt16LE(at);
      const change = tag === acl.user ? uid : tag === acl.group ? gid : undefined;
      const id = value.readUInt32LE(at + acl.idOffset);
      if (change !== undefined) value.writeUInt32LE(change(id) ?? overflowId, at + acl.idOffset);
    }
  else if (name === capability.name && value.length === capability.size3 && value[3] === capability.revision3)
    value.writeUInt32LE(uid(value.readUInt32LE(capability.rootOffset)) ?? overflowId, capability.rootOffset);
  else return xattr;
  return { name: xattr.name, value };
}
