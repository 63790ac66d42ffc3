import { constants } from "node:fs";
import { errnoOf, linux } from "@aeon/core";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOATIME } = constants;
const readFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;

/** Opens a file of the tree without touching its access time, which only its owner may ask for. */
export function openForReading(directory: number, name: Buffer): number {
  try {
    return linux.openAtSync(directory, name, readFlags | O_NOATIME);
  } catch (error) {
    if (errnoOf(error) !== "EPERM") throw error;
    return linux.openAtSync(directory, name, readFlags);
  }
}

/** Whether a file was written to, or another one took its name, between two looks. */
export const hasChanged = (before: linux.FileStatus, after: linux.FileStatus): boolean =>
  before.modified !== after.modified ||
  before.size !== after.size ||
  before.changed !== after.changed ||
  before.inode !== after.inode ||
  before.device !== after.device;
