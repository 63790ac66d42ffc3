import { closeSync, constants, fsync, openSync } from "node:fs";
import { link, lstat, mkdir, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
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

/** Makes a folder below `root`, and waits until all names on the way are on disk. */
export async function makeFolder(path: string, root: string): Promise<void> {
  await makeFolders(path);
  for (let folder = path; folder.length > root.length; folder = dirname(folder))
    await syncFolder(dirname(folder));
}

/** Node's own recursive mkdir calls a file system that cannot be written an absent folder. */
async function makeFolders(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "EEXIST") return;
    if (errno !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolders(dirname(path));
    await makeFolders(path);
  }
}

/**
 * Gives a file that is already on disk its final name below `root`, unless the name is taken; the temporary name
 * goes unless it is to be kept. Resolves to false when it was taken. A link never replaces, unlike a rename, also on NFS.
 */
export async function publish(
  temporary: string,
  path: string,
  root: string,
  { keep = false }: { readonly keep?: boolean } = {},
): Promise<boolean> {
  const published = await linkNew(temporary, path, root);
  await syncFolder(dirname(path));
  if (!keep) await unlink(temporary);
  return published;
}

async function linkNew(from: string, to: string, root: string): Promise<boolean> {
  for (;;)
    try {
      await link(from, to);
      return true;
    } catch (error) {
      const errno = errnoOf(error);
      // NFS repeats a request whose answer was lost, and then finds its own link.
      if (errno === "EEXIST") return await isSame(from, to);
      if (errno !== "ENOENT" || !(await exists(from))) throw error;
      await makeFolder(dirname(to), root);
    }
}

async function isSame(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([lstat(a, { bigint: true }), statOrAbsent(b)]);
  return other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

const exists = async (path: string): Promise<boolean> => (await statOrAbsent(path)) !== undefined;

/** Undefined when there is nothing of that name. */
export async function statOrAbsent(path: string): Promise<Awaited<ReturnType<typeof bigStat>> | undefined> {
  try {
    return await bigStat(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

const bigStat = (path: string) => lstat(path, { bigint: true });

export const isAbsence = (error: unknown): boolean => {
  const errno = errnoOf(error);
  return errno === "ENOENT" || errno === "ENOTDIR";
};

/** Writes a new file and waits until its bytes, not its name, are on disk. */
export async function writeFlushed(path: string, bytes: Buffer): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(bytes);
  await file.sync();
}

/** Fine when there is no such file; the removal is on disk when it resolves. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
    await syncFolder(dirname(path));
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
}
