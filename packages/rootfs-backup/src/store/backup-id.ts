import { createHash, randomBytes } from "node:crypto";
import { backupId, type BackupId, type SnapshotKey } from "@aeon/core";
import { errors } from "../errors.ts";

/** Names that are safe as a file name. */
export const backupIdPattern: RegExp = /^[a-z0-9][a-z0-9-]{0,127}$/;

export const isBackupId = (text: string): boolean => backupIdPattern.test(text);

/** Checks an id that comes from outside. Throws `BACKUP_ID_INVALID`. */
export function parseBackupId(text: string): BackupId {
  if (!isBackupId(text))
    throw errors.BACKUP_ID_INVALID(`${JSON.stringify(text.slice(0, 200))} is not the id of a backup`);
  return backupId(text);
}

/** A new id; ids sort by the time they were made, to the second. Its end is random when not given. */
export function newBackupId(now: Date, end = randomBytes(endBytes).toString("hex")): BackupId {
  const time = now.toISOString().replaceAll(/[-:]/g, "").replace("T", "-").slice(0, 15);
  return backupId(`${time}-${end}`);
}

const endBytes = 5;

/** The end of the id of what a snapshot ends as, by which its layer is found when everything else about it was lost. */
export const endOfFinal = (key: SnapshotKey, created: bigint): string =>
  createHash("sha256")
    .update(`${key}\0${created}`)
    .digest("hex")
    .slice(0, 2 * endBytes);
