import { constants, fstatSync, lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { errnoOf } from "@aeon/core";
import { DirectoryCursor } from "./directory-cursor.ts";

/**
 * Deletes a folder and all below it: any names, any depth, links not followed, and nothing that another file
 * system has mounted there. Absent is fine.
 */
export function removeTree(path: string): void {
  try {
    emptyFolder(path);
    rmdirSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

function emptyFolder(path: string): void {
  using cursor = new DirectoryCursor(path);
  const { dev } = fstatSync(cursor.fd);
  const levels: { readonly name?: Buffer; readonly folders: Buffer[] }[] = [
    { folders: unlinkFiles(cursor, dev) },
  ];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const name = level.folders.pop();
    if (name !== undefined) {
      cursor.enter(name);
      levels.push({ name, folders: unlinkFiles(cursor, dev) });
      continue;
    }
    levels.pop();
    if (level.name === undefined) return;
    cursor.leave();
    rmdirSync(cursor.child(level.name));
  }
}

/** Deletes all but directories and returns those. */
function unlinkFiles(cursor: DirectoryCursor, dev: number): Buffer[] {
  const folders: Buffer[] = [];
  for (const name of readdirSync(Buffer.from(`/proc/self/fd/${cursor.fd}`), { encoding: "buffer" })) {
    const file = cursor.child(name);
    const stat = lstatSync(file);
    if ((stat.mode & constants.S_IFMT) !== constants.S_IFDIR) unlinkSync(file);
    else if (stat.dev === dev) folders.push(name);
  }
  return folders;
}
