import { isAeonError, toAeonError, type ContainerRegistry, type Logger } from "@aeon/core";
import { layerFiles } from "../archive/blob-descriptor.ts";
import { exists, type Staging } from "../capture/staging.ts";
import { reached } from "../capture/steps.ts";
import { errors } from "../errors.ts";
import type { Pace } from "../objects/object-store.ts";
import type { BackupRecord } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { StoredLayer } from "../store/backup-document.ts";
import type { BackupStore, StoredBackup, Verification } from "../store/backup-store.ts";
import { chainOf } from "../store/chain-of.ts";
import type { Packed } from "../worker/job.ts";
import type { Archiver } from "./archiver.ts";
import { draftOf, isEmpty, layersBelow } from "./draft.ts";
import type { Phases } from "./phases.ts";
import { damageOf } from "./verify-archive.ts";

export interface UploaderOptions {
  readonly backups: BackupRecords;
  readonly staging: Staging;
  readonly store: BackupStore;
  readonly archiver: Archiver;
  readonly phases: Phases;
  readonly registry: ContainerRegistry | undefined;
  readonly verification: Verification;
  /** How fast archives may leave; as fast as they can when absent. */
  readonly pace: Pace | undefined;
  /** This node's name in documents. */
  readonly node: string;
  readonly log: Logger;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
  /** Told of bytes that the store has taken. */
  readonly onUploaded: (bytes: number) => void;
}

/** The second half of the queue: brings the archive of a backup into the store; every step may be repeated. */
export class Uploader {
  readonly #options: UploaderOptions;

  constructor(options: UploaderOptions) {
    this.#options = options;
  }

  /** Resolves when the backup is stored, or when its archive turns out damaged and its layer has to be packed again. */
  async upload(record: BackupRecord, signal: AbortSignal): Promise<void> {
    const { backups, phases, log, now } = this.#options;
    const { id, packed } = record;
    const below = layersBelow(record, backups);
    if (packed === undefined || below === undefined)
      throw errors.BACKUP_NOT_STORED(
        `backup ${id} is not packed, or the one on which it stands is not stored`,
      );
    const { layer, report } = packed;
    const { tenant } = chainOf(record.identity);
    const own: StoredLayer = { ...layer, tenant, backup: id };
    const hasNothing = isEmpty(record, packed);
    if (!hasNothing && record.uploadedAt === undefined && !(await this.#send(record, packed, own, signal)))
      return;
    phases.enter(id, "verifying");
    const chain = hasNothing ? below : record.squashed ? [own] : [...below, own];
    const { digest, location, document } = await this.#publish(record, hasNothing ? undefined : own, {
      chain,
      report,
      signal,
    });
    const size = hasNothing ? 0 : layer.size;
    await backups.stored(id, { digest, size, location, storedAt: now(), layers: document.layers });
    reached("recorded", id);
    phases.enter(id, "stored");
    log.info(
      { backup: id, bytes: size, entries: layer.entries, deviations: report.deviationCount },
      "backup stored",
    );
    await this.#tellRegistry(record);
  }

  /** False when there is nothing to send any more: the archive was damaged. */
  async #send(record: BackupRecord, packed: Packed, own: StoredLayer, signal: AbortSignal): Promise<boolean> {
    const { backups, staging, store, archiver, phases, pace, now, onUploaded } = this.#options;
    const { id } = record;
    const files = layerFiles(staging.packed(id));
    phases.enter(id, "uploading");
    const damage = archiver.takeFresh(id) ? undefined : await damageOf(files, packed, signal);
    if (damage !== undefined) {
      await this.#packAgain(record, damage);
      return false;
    }
    const total = own.size + own.index.size + own.toc.size;
    let before = 0;
    const onProgress = (done: number): void => {
      onUploaded(Math.max(0, done - before));
      before = Math.max(before, done);
      phases.progress(id, { done, total });
    };
    phases.progress(id, { done: 0, total });
    await store.putLayer(files, own, { signal, keep: true, onProgress, ...(pace !== undefined && { pace }) });
    reached("layer-stored", id);
    await backups.uploaded(id, now());
    reached("uploaded", id);
    return true;
  }

  /** Rejects with `BACKUP_DAMAGED` when the archive is all there is. */
  async #packAgain({ id, place, upperdir }: BackupRecord, damage: string): Promise<void> {
    const { backups, staging, log } = this.#options;
    const source = place === "snapshot" ? upperdir : staging.layer(id);
    if (!(await exists(source)))
      throw errors.BACKUP_DAMAGED(
        `the archive of backup ${id} was damaged before it was stored, and its files are gone: ${damage}`,
        { details: { backup: id } },
      );
    log.warn({ backup: id, damage }, "archive was damaged and is packed again");
    await backups.spoiled(id);
  }

  async #publish(
    record: BackupRecord,
    own: StoredLayer | undefined,
    {
      chain,
      report,
      signal,
    }: {
      readonly chain: readonly StoredLayer[];
      readonly report: Packed["report"];
      readonly signal: AbortSignal;
    },
  ): Promise<StoredBackup> {
    const { backups, store, phases, verification, node } = this.#options;
    const { id } = record;
    try {
      if (own !== undefined) {
        const onProgress = (done: number): void => phases.progress(id, { done, total: sizeOf(own) });
        await store.verifyLayer(own, { signal, verification, onProgress });
      }
      reached("verified", id);
      const layers = await this.#ofTenant(chain, chainOf(record.identity).tenant, signal);
      // Why the container ended may have become known meanwhile.
      const latest = backups.get(id) ?? record;
      const stored = await store.putBackup(draftOf(latest, { node, layers, report }), signal);
      reached("backup-stored", id);
      return stored;
    } catch (error) {
      if (isAeonError(error) && error.reason === "LAYER_MISSING") await backups.uploadLost(id);
      throw error;
    }
  }

  /** A container may stand on layers of another tenant that somebody restored into it. */
  async #ofTenant(
    layers: readonly StoredLayer[],
    tenant: string,
    signal: AbortSignal,
  ): Promise<StoredLayer[]> {
    const { store } = this.#options;
    const own: StoredLayer[] = [];
    for (const layer of layers)
      own.push(layer.tenant === tenant ? layer : await store.copyLayer(layer, tenant, signal));
    return own;
  }

  async #tellRegistry({ id, final, snapshotKey }: BackupRecord): Promise<void> {
    const { registry, log } = this.#options;
    if (!final) return;
    await registry?.transition(snapshotKey, "backed-up").catch((error: unknown) => {
      log.debug(
        { backup: id, error: toAeonError(error, "transition").message },
        "container state not changed",
      );
    });
  }
}

const sizeOf = ({ size, index, toc }: StoredLayer): number => size + index.size + toc.size;
