import { errorMessage, type BackupId, type Logger } from "@aeon/core";
import { leftOut } from "../archive/exclusions.ts";
import type { Staging } from "../capture/staging.ts";
import { reached } from "../capture/steps.ts";
import { errors } from "../errors.ts";
import { syncFolder } from "../objects/posix/durable-files.ts";
import type { BackupRecord } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { Squasher } from "../restore/squasher.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";
import { layersBelow } from "./draft.ts";
import type { Phases } from "./phases.ts";

export interface ArchiverOptions {
  readonly backups: BackupRecords;
  readonly staging: Staging;
  readonly worker: ArchiveWorker;
  readonly squasher: Squasher;
  readonly phases: Phases;
  /** zstd level, 1…19. */
  readonly level: number;
  /** Paths in containers that no backup holds; see Exclusions. */
  readonly exclude: readonly string[];
  readonly log: Logger;
  /** Told of every layer that was packed. */
  readonly onPacked: (facts: {
    readonly seconds: number;
    readonly rawSize: number;
    readonly size: number;
  }) => void;
}

/**
 * The first half of the queue: makes the archive of a staged layer, beside it in staging, where it stays until the
 * backup is stored. What was packed is never packed again unless its files are damaged.
 */
export class Archiver {
  readonly #options: ArchiverOptions;
  /** Packed by this process, so that nothing can have happened to the files. */
  readonly #fresh = new Set<BackupId>();

  constructor(options: ArchiverOptions) {
    this.#options = options;
  }

  async pack(record: BackupRecord, signal: AbortSignal): Promise<void> {
    const { backups, staging, worker, squasher, phases, level, exclude, onPacked } = this.#options;
    const { id, identity, overlay, idMaps, place, upperdir, stagedBytes } = record;
    const below = layersBelow(record, backups);
    if (below === undefined)
      throw errors.BACKUP_NOT_STORED(`backup ${record.parent?.id}, on which ${id} stands, is not stored yet`);
    phases.enter(id, "packing");
    const source = place === "snapshot" ? upperdir : staging.layer(id);
    const startedAt = performance.now();
    const lowers = await squasher.lowersOf({ folder: source, overlay, below }, signal);
    const target = await staging.makeRoom(id);
    const left = leftOut(exclude, identity.pod !== undefined);
    const request = { source, target, overlay, idMaps, lowers, level, ...left };
    const total = (): number | undefined => backups.get(id)?.stagedBytes ?? stagedBytes;
    const packed = await worker
      .pack(request, signal, (done) => phases.progress(id, progressOf(done, total())))
      .catch((error: unknown) => this.#giveUp(id, error));
    await staging.keep(id, target);
    reached("packed", id);
    await syncFolder(staging.folder(id));
    await syncFolder(staging.path);
    await backups.archived(id, packed, lowers.length > 0);
    reached("archived", id);
    this.#fresh.add(id);
    const { rawSize, size } = packed.layer;
    onPacked({ seconds: (performance.now() - startedAt) / 1000, rawSize, size });
  }

  /** True when the files of the archive need no verification; once only, as they may be left for long then. */
  takeFresh(id: BackupId): boolean {
    return this.#fresh.delete(id);
  }

  /** Half an archive only takes room. */
  async #giveUp(id: BackupId, error: unknown): Promise<never> {
    const { staging, log } = this.#options;
    await staging
      .dropArchive(id)
      .catch((cause: unknown) => log.warn({ backup: id, error: errorMessage(cause) }, "archive not removed"));
    throw error;
  }
}

/** Sizes of layers are counted in blocks of the disk, so an archive may turn out longer. */
const progressOf = (done: number, total: number | undefined) =>
  total === undefined ? { done } : { done, total: Math.max(done, total) };
