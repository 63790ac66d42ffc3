import type { Labels } from "@aeon/core";
import { errors } from "../errors.ts";

const uidLabel = "containerd.io/snapshot/uidmapping";
const gidLabel = "containerd.io/snapshot/gidmapping";
/** Ranges the kernel takes in one map (user_namespaces(7)). */
const maxRanges = 340;
const idLimit = 2 ** 32;

/** Who owns a file. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The id maps that a snapshot was prepared with: `container:host:size[,…]` for users and groups. */
export interface IdMaps {
  readonly uidmap: string;
  readonly gidmap: string;
  /** Host ids of the container's root. */
  readonly root: Owner;
}

/** Reads the id-map labels; undefined when there are none, `SNAPSHOT_ID_MAP_INVALID` unless both are right. */
export function idMapsOf(labels: Labels): IdMaps | undefined {
  const uidmap = labels[uidLabel] ?? "";
  const gidmap = labels[gidLabel] ?? "";
  if (uidmap === "" && gidmap === "") return undefined;
  return { uidmap, gidmap, root: { uid: hostRoot(uidLabel, uidmap), gid: hostRoot(gidLabel, gidmap) } };
}

/** The host id that a map gives to the container's id 0. */
function hostRoot(label: string, text: string): number {
  const ranges = text.split(",");
  if (ranges.length > maxRanges)
    throw errors.SNAPSHOT_ID_MAP_INVALID(`label ${label} has more than ${maxRanges} ranges`);
  const roots = ranges.map((range) => parseRange(label, range)).filter(({ container }) => container === 0);
  const [root] = roots;
  if (root === undefined || roots.length > 1)
    throw errors.SNAPSHOT_ID_MAP_INVALID(`label ${label} must map container id 0 exactly once: ${text}`);
  return root.host;
}

function parseRange(label: string, range: string): { container: number; host: number } {
  const match = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(range);
  const [container = -1, host = -1, size = 0] = (match ?? []).slice(1).map(Number);
  if (match === null || size < 1 || container + size > idLimit || host + size > idLimit)
    throw errors.SNAPSHOT_ID_MAP_INVALID(
      `label ${label} has range ${JSON.stringify(range.slice(0, 64))}, not container:host:size of 32-bit ids`,
    );
  return { container, host };
}
