import { constants, lstatSync, readdirSync } from "node:fs";
import { DirectoryCursor } from "./directory-cursor.ts";

/** Bytes in allocated blocks of a folder and all below it, each file once. */
export function measureTree(path: string): number {
  using cursor = new DirectoryCursor(path);
  const linked = new Set<bigint>();
  let bytes = 0;
  const list = (): Buffer[] => {
    const folders: Buffer[] = [];
    for (const name of readdirSync(Buffer.from(`/proc/self/fd/${cursor.fd}`), { encoding: "buffer" })) {
      const { mode, nlink, ino, blocks } = lstatSync(cursor.child(name), { bigint: true });
      if ((Number(mode) & constants.S_IFMT) === constants.S_IFDIR) folders.push(name);
      else if (nlink > 1n && linked.has(ino)) continue;
      else if (nlink > 1n) linked.add(ino);
      bytes += Number(blocks) * 512;
    }
    return folders;
  };
  const levels = [list()];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const name = level.pop();
    if (name === undefined) {
      levels.pop();
      if (levels.length > 0) cursor.leave();
    } else {
      cursor.enter(name);
      levels.push(list());
    }
  }
  return bytes;
}
