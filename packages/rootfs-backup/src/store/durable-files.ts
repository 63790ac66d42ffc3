import { randomBytes } from "node:crypto";
import { closeSync, constants, fsync, openSync } from "node:fs";
import { link, open, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { errnoOf } from "@aeon/core";

const sync = promisify(fsync);

/** Waits until the names in a folder are on disk. Only that is done off the event loop: the rest takes microseconds. */
export async function syncFolder(path: string): Promise<void> {
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await sync(folder);
  } finally {
    closeSync(folder);
  }
}

/**
 * Gives a file that is already on disk its final name, unless the name is taken; the temporary name goes.
 * Resolves to false when it was taken. A link never replaces, unlike a rename, also on NFS.
 */
export async function publish(temporary: string, path: string): Promise<boolean> {
  const published = await linkNew(temporary, path);
  await syncFolder(dirname(path));
  await unlink(temporary);
  return published;
}

async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Writes a new file durably; false when the name was taken. `spool` is a folder on the same file system. */
export async function writeNew(path: string, bytes: Buffer, spool: string): Promise<boolean> {
  const temporary = join(spool, `${basename(path)}-${randomBytes(6).toString("hex")}`);
  {
    await using file = await open(temporary, "wx", 0o600);
    await file.writeFile(bytes);
    await file.sync();
  }
  return publish(temporary, path);
}
