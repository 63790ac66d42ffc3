import { mkdir, readdir, realpath } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { errnoOf } from "@aeon/core";
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
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = await realpath(folder);
    if (/[:,\\\s\0"]/.test(path))
      throw errors.SNAPSHOT_ROOT_INVALID(
        `the snapshot root ${path} has a character that mount options cannot hold`,
      );
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

/** Makes the folder of the snapshot directories, once the database is held. */
export async function makeSnapshotsFolder({ snapshots }: Root): Promise<void> {
  try {
    await mkdir(snapshots, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw fileError(error, `make ${snapshots}`);
  }
}
