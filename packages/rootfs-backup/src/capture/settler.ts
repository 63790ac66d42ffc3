import type { Logger } from "@aeon/core";
import type { Phases } from "../queue/phases.ts";
import type { BackupRecord, NewBackup } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import { newBackup, type Found } from "./new-backup.ts";
import { reached } from "./steps.ts";

export interface SettlerOptions {
  readonly backups: BackupRecords;
  readonly phases: Phases;
  readonly log: Logger;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
  /** Called after a layer was written down that can be stored where it lies. */
  readonly onSettled: () => void;
}

/** Writes down that the layer of a container that never runs again is final, and stays where it is. */
export class Settler {
  readonly #options: SettlerOptions;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  /** Gives the backup of the layer, which somebody else may have made meanwhile. */
  async settle(
    found: Found,
    how: Pick<NewBackup, "trigger" | "consistency" | "final">,
  ): Promise<BackupRecord | undefined> {
    const { backups, phases, log, now, onSettled } = this.#options;
    const earlier = backups.ofSnapshot(found.key, found.info.createdAt);
    if (earlier !== undefined) return earlier;
    const backup = newBackup(found, how, now());
    await backups.settle(backup);
    phases.enter(backup.id, "staged");
    reached("settled", backup.id);
    log.info({ snapshot: found.key, backup: backup.id, trigger: backup.trigger }, "writable layer is final");
    onSettled();
    return backups.get(backup.id);
  }
}
