import { chmodSync, lstatSync, lchownSync } from "node:fs";
import { linux } from "@aeon/core";
import { shiftXattr, toHost, type IdMaps, type IdShift } from "../archive/id-map.ts";

const unchanged: IdShift = { uid: (id) => id, gid: (id) => id };

/**
 * Gives an empty writable layer the attributes of a restored root folder: a merged root shows those of its upper
 * directory only, and snapshotters make that one anew. `idMaps` is of the container that gets it.
 */
export function dressUpperdir(upperdir: string, layer: string, idMaps?: IdMaps): void {
  const { mode, uid, gid, mtimeNs } = lstatSync(layer, { bigint: true });
  const ids: IdShift = idMaps === undefined ? unchanged : toHost(idMaps);
  lchownSync(upperdir, ids.uid(Number(uid)) ?? Number(uid), ids.gid(Number(gid)) ?? Number(gid));
  chmodSync(upperdir, Number(mode) & 0o7777);
  for (const name of linux.listXattrsSync(layer)) {
    const value = linux.getXattrSync(layer, name);
    const isOverlays = /^(?:trusted|user)\.overlay\./.test(name.toString("latin1"));
    if (value !== undefined && !isOverlays)
      linux.setXattrSync(upperdir, name, shiftXattr({ name, value }, ids).value);
  }
  linux.setTimesSync(upperdir, { modified: mtimeNs });
}
