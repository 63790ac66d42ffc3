import { randomBytes } from "node:crypto";
import { backupId, type BackupId } from "@aeon/core";
import { errors } from "../errors.ts";

/** True for names that are safe as a file name. */
export const isBackupId = (text: string): boolean => /^[a-z0-9][a-z0-9-]{0,127}$/.test(text);

/** Checks an id that comes from outside. Throws `BACKUP_ID_INVALID`. */
export function parseBackupId(text: string): BackupId {
  if (!isBackupId(text))
    throw errors.BACKUP_ID_INVALID(`${JSON.stringify(text.slice(0, 200))} is not the id of a backup`);
  return backupId(text);
}

/** A new id; ids sort by the time they were made, to the second. */
export function newBackupId(now: Date): BackupId {
  const time = now.toISOString().replaceAll(/[-:]/g, "").replace("T", "-").slice(0, 15);
  return backupId(`${time}-${randomBytes(5).toString("hex")}`);
}
