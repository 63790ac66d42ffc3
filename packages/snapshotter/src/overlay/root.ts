import { mkdir, readdir, realpath, statfs } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { errnoOf, linux } from "@aeon/core";
import { errors } from "../errors.ts";
import { fileError } from "./file-error.ts";

/** Where everything of an overlay snapshotter is. */
export interface Root {
  /** Without symbolic links: it goes into mount options. */
  readonly path: string;
  readonly database: string;
  readonly snapshots: string;
}

const databaseName = "snapshots.db";

/**
 * Checks and makes the folders of a snapshotter. Throws `SNAPSHOT_ROOT_INVALID` for a path that cannot stand in
 * mount options, or when snapshots are there that no database of ours describes.
 */
export async function openRoot(folder: string): Promise<Root> {
  if (!isAbsolute(folder))
    throw errors.SNAPSHOT_ROOT_INVALID(`the snapshot root ${folder} is not an absolute path`);
  checkCharacters(folder);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = await realpath(folder);
    checkCharacters(path);
    const snapshots = join(path, "snapshots");
    const files = await readdir(path);
    if (!files.includes(databaseName) && files.includes("snapshots") && (await readdir(snapshots)).length > 0)
      throw errors.SNAPSHOT_ROOT_INVALID(
        `${snapshots} holds snapshots, but ${databaseName} is missing; restore it, or choose an empty root`,
      );
    return { path, database: join(path, databaseName), snapshots };
  } catch (error) {
    throw fileError(error, `open the snapshot root ${folder}`);
  }
}

function checkCharacters(path: string): void {
  if (/[:,\\\s\0"]/.test(path))
    throw errors.SNAPSHOT_ROOT_INVALID(
      `the snapshot root ${path} has a character that mount options cannot hold`,
    );
}

/** Magic number of XFS, the one common file system that can be made without entry types (statfs(2)). */
const xfsMagic = 0x58465342;

/** overlayfs needs d_type. Asked when the root holds the database, so that there is an entry to judge by. */
export async function checkEntryTypes({ path }: Root): Promise<void> {
  if ((await statfs(path)).type === xfsMagic && linux.tellsEntryTypesSync(path) === false)
    throw errors.SNAPSHOT_ROOT_INVALID(
      `the file system of ${path} tells no entry types; make it anew with mkfs.xfs -n ftype=1`,
    );
}

/** Makes the folder of the snapshot directories, once the database is held. */
export async function makeSnapshotsFolder({ snapshots }: Root): Promise<void> {
  try {
    await mkdir(snapshots, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw fileError(error, `make ${snapshots}`);
  }
}
