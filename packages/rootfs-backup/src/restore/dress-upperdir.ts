import { chmodSync, lstatSync, lchownSync } from "node:fs";
import { linux } from "@aeon/core";

/**
 * Gives an empty writable layer the attributes of a restored root folder: a merged root shows those of its upper
 * directory only, and snapshotters make that one anew.
 */
export function dressUpperdir(upperdir: string, layer: string): void {
  const { mode, uid, gid, mtimeNs } = lstatSync(layer, { bigint: true });
  lchownSync(upperdir, Number(uid), Number(gid));
  chmodSync(upperdir, Number(mode) & 0o7777);
  for (const name of linux.listXattrsSync(layer)) {
    const value = linux.getXattrSync(layer, name);
    const isOverlays = /^(?:trusted|user)\.overlay\./.test(name.toString("latin1"));
    if (value !== undefined && !isOverlays) linux.setXattrSync(upperdir, name, value);
  }
  linux.setTimesSync(upperdir, { modified: mtimeNs });
}
