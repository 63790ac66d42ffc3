import { lstat, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { errorMessage, type Logger } from "@aeon/core";
import type { Staging } from "../capture/staging.ts";
import { reached } from "../capture/steps.ts";
import type { BackupRecord } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { BackupStore } from "../store/backup-store.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";

export interface DiscarderOptions {
  readonly backups: BackupRecords;
  readonly staging: Staging;
  readonly store: BackupStore;
  readonly worker: ArchiveWorker;
  readonly log: Logger;
}

/** Deletes what this host holds of stored backups. */
export class Discarder {
  readonly #options: DiscarderOptions;
  readonly #since = Date.now();
  #emptied: Promise<void> | undefined;

  constructor(options: DiscarderOptions) {
    this.#options = options;
  }

  /** Deletes archive and staged copy; a layer that is still in its snapshot goes with that one. */
  async discard({ id }: BackupRecord, signal: AbortSignal): Promise<void> {
    const { backups, staging, worker, log } = this.#options;
    await this.#emptySpool(signal).catch((error: unknown) =>
      log.debug({ error: errorMessage(error) }, "left files not removed yet"),
    );
    if (backups.get(id)?.place === "staging") await worker.remove(staging.folder(id), signal);
    else await staging.dropArchive(id);
    reached("discarded", id);
    await backups.discarded(id);
  }

  /** What an earlier life left on its way to the store goes before the first. */
  async #emptySpool(signal: AbortSignal): Promise<void> {
    const folder = await this.#options.store.spool(signal);
    await (this.#emptied ??= empty(folder, this.#since).catch((error: unknown) => {
      this.#emptied = undefined;
      throw error;
    }));
  }
}

/** Folders in it are the store's own, and what is newer may be in use. */
async function empty(folder: string, before: number): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (!entry.isDirectory() && (await lstat(path)).mtimeMs < before) await unlink(path);
  }
}
