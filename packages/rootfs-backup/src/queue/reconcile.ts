import type { BackupId, Logger } from "@aeon/core";
import type { Capturer } from "../capture/capturer.ts";
import { exists, type Staging } from "../capture/staging.ts";
import type { BackupRecord } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";

export interface ReconcileOptions {
  readonly backups: BackupRecords;
  readonly staging: Staging;
  readonly capturer: Capturer;
  readonly log: Logger;
}

/** A layer that was backed up where it lay may have been moved, or have gone with its snapshot. */
async function reconcileInPlace(
  { id, state, upperdir, packed }: BackupRecord,
  { backups, staging, log }: ReconcileOptions,
): Promise<void> {
  if (await staging.has(id)) await backups.moved(id);
  else if (state === "staged" && packed === undefined && !(await exists(upperdir)))
    log.error({ backup: id, upperdir }, "writable layer vanished before it was stored");
}

/**
 * Puts right what the last process left half done, before new work starts. Gives the folders in staging that no
 * record names: they are kept, since they may be somebody's only copy.
 */
export async function reconcile(options: ReconcileOptions): Promise<readonly BackupId[]> {
  const { backups, staging, capturer, log } = options;
  for (const record of backups.unfinished()) {
    const { id, state, place, upperdir } = record;
    if (place === "snapshot") await reconcileInPlace(record, options);
    if (state !== "intent") continue;
    if (!record.final) {
      log.warn({ backup: id }, "interrupted backup of a running container given up");
      await staging.dropPacked(id);
      await backups.abandon(id);
      continue;
    }
    if (await staging.has(id)) {
      await capturer.resume(record);
      log.info({ backup: id }, "interrupted capture finished");
    } else if (!(await exists(upperdir))) {
      log.error({ backup: id, upperdir }, "writable layer vanished before it was captured");
      await staging.drop(id);
      await backups.abandon(id);
    }
    // Else nothing was moved: containerd repeats the removal, and the capture with it.
  }
  const known = backups.ids();
  return (await staging.list()).filter((id) => !known.has(id));
}
