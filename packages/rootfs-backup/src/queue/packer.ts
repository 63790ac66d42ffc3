import { randomBytes } from "node:crypto";
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, toAeonError, type ContainerRegistry, type Logger } from "@aeon/core";
import { layerFiles } from "../archive/blob-descriptor.ts";
import type { Staging } from "../capture/staging.ts";
import { reached } from "../capture/steps.ts";
import { errors } from "../errors.ts";
import type { BackupRecord } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { BackupDocument, StoredLayer } from "../store/backup-document.ts";
import type { BackupStore } from "../store/backup-store.ts";
import type { Squasher } from "../restore/squasher.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";

export interface PackerOptions {
  readonly backups: BackupRecords;
  readonly staging: Staging;
  readonly store: BackupStore;
  readonly worker: ArchiveWorker;
  readonly squasher: Squasher;
  readonly registry: ContainerRegistry | undefined;
  /** zstd level, 1…19. */
  readonly level: number;
  readonly log: Logger;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
  /** Told of every layer that was packed. */
  readonly onPacked: (facts: {
    readonly seconds: number;
    readonly rawSize: number;
    readonly size: number;
  }) => void;
}

/** An archive with nothing in it but its root. */
const emptyEntries = 1;

/** Brings one staged backup into the store; every step may be repeated after a crash. */
export class Packer {
  readonly #options: PackerOptions;

  constructor(options: PackerOptions) {
    this.#options = options;
  }

  /** The layers below a backup; undefined while the backup that it stands on is not stored itself. */
  layersBelow({ parent }: BackupRecord): readonly StoredLayer[] | undefined {
    return parent === undefined ? [] : (parent.layers ?? this.#options.backups.get(parent.id)?.layers);
  }

  async store(record: BackupRecord, signal: AbortSignal): Promise<void> {
    const { backups, staging, store, worker, squasher, registry, level, log, now, onPacked } = this.#options;
    const { id } = record;
    const below = this.layersBelow(record);
    if (below === undefined)
      throw errors.BACKUP_NOT_STORED(`backup ${record.parent?.id}, on which ${id} stands, is not stored yet`);
    const startedAt = performance.now();
    const file = join(await store.spool(), `${id}-${randomBytes(6).toString("hex")}`);
    try {
      const source = record.place === "snapshot" ? record.upperdir : staging.layer(id);
      const { overlay, idMaps } = record;
      const lowers = await squasher.lowersOf({ folder: source, overlay, below }, signal);
      const squashed = lowers.length > 0;
      const request = { source, target: file, overlay, idMaps, lowers, level };
      const { layer, report } = await worker.pack(request, signal);
      reached("packed", id);
      onPacked({ seconds: (performance.now() - startedAt) / 1000, rawSize: layer.rawSize, size: layer.size });
      const own: StoredLayer = { ...layer, backup: id };
      const isEmpty = !squashed && layer.entries === emptyEntries && record.parent !== undefined;
      if (!isEmpty) await store.putLayer(file, own);
      reached("layer-stored", id);
      const layers = isEmpty ? below : squashed ? [own] : [...below, own];
      const stored = await store.putBackup(documentOf(record, { layers, squashed, report }));
      reached("backup-stored", id);
      const size = isEmpty ? 0 : layer.size;
      const { digest, location } = stored;
      await backups.stored(id, { digest, size, location, storedAt: now(), layers });
      reached("recorded", id);
      log.info(
        { backup: id, bytes: size, entries: layer.entries, deviations: report.deviationCount },
        "backup stored",
      );
    } finally {
      for (const each of Object.values(layerFiles(file)))
        await unlink(each).catch((error: unknown) => {
          if (errnoOf(error) !== "ENOENT") throw error;
        });
    }
    await registry?.transition(record.snapshotKey, "backed-up").catch((error: unknown) => {
      log.debug(
        { backup: id, error: toAeonError(error, "transition").message },
        "container state not changed",
      );
    });
  }

  /** Deletes the staged copy of a stored backup; a layer that is still in its snapshot goes with that one. */
  async discard({ id }: BackupRecord, signal: AbortSignal): Promise<void> {
    const { backups, staging, worker } = this.#options;
    if (backups.get(id)?.place === "staging") await worker.remove(staging.folder(id), signal);
    reached("discarded", id);
    await backups.discarded(id);
  }
}

interface Packed {
  /** The whole chain, the lowest first. */
  readonly layers: readonly StoredLayer[];
  /** Whether the chain is one layer made of several. */
  readonly squashed: boolean;
  readonly report: BackupDocument["report"];
}

function documentOf(record: BackupRecord, { layers, squashed, report }: Packed): BackupDocument {
  const { id, identity, createdAt, parent, trigger, consistency } = record;
  return {
    format: 1,
    id,
    identity,
    createdAt: String(createdAt),
    trigger,
    consistency,
    ...(parent !== undefined && { parent: parent.id }),
    ...(squashed && { squashed }),
    layers: [...layers],
    report,
  };
}
