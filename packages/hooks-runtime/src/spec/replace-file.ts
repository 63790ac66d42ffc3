import { randomBytes } from "node:crypto";
import { open, readdir, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";

export interface ReplaceOptions {
  /** Brings content and name to disk before it returns. */
  readonly durable?: boolean;
  /** Modification time; now when absent. */
  readonly modifiedAt?: Date;
  /** Mode and owner; those of a new file when absent. */
  readonly like?: { readonly mode: number; readonly uid: number; readonly gid: number };
}

const temporaryName = /^\.[0-9a-f]{16}\.container-hooks$/;
/** Milliseconds after which nobody can still be writing one. */
const abandonedMs = 60_000;

/** Removes from a folder what processes that were killed while they replaced a file left there. */
export async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!temporaryName.test(name)) continue;
    const path = join(folder, name);
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > abandonedMs) await rm(path, { force: true });
  }
}

/** Puts new content in the place of a file in one step; nothing of a failed attempt stays. */
export async function replaceFile(
  path: string,
  content: Buffer | string,
  options: ReplaceOptions = {},
): Promise<void> {
  const { durable = false, like, modifiedAt } = options;
  const temporary = join(dirname(path), `.${randomBytes(8).toString("hex")}.container-hooks`);
  try {
    {
      await using handle = await open(temporary, "wx", (like?.mode ?? 0o644) & 0o7777);
      if (like !== undefined) await makeLike(handle, like);
      await handle.writeFile(content);
      if (modifiedAt !== undefined) await handle.utimes(modifiedAt, modifiedAt);
      if (durable) await handle.sync();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (durable) await syncFolder(dirname(path));
}

async function makeLike(
  handle: FileHandle,
  { mode, uid, gid }: NonNullable<ReplaceOptions["like"]>,
): Promise<void> {
  const own = await handle.stat();
  if (own.uid !== uid || own.gid !== gid) await handle.chown(uid, gid);
  await handle.chmod(mode & 0o7777);
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, "r");
  await handle.sync();
}
