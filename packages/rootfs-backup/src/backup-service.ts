import { capability, type BackupId, type Capability, type ContainerId, type Namespace } from "@aeon/core";
import type { Backup } from "./backup.ts";
import type { CaptureCall, CaptureRequest } from "./capture/live-capturer.ts";
import type { DrainCall, DrainSummary } from "./capture/drain.ts";
import type { PhaseChange } from "./queue/phases.ts";
import type { RemoveOptions } from "./store/remove-backup.ts";
import type { ChainKey } from "./store/chain.ts";
import type { RetentionRules } from "./store/retention.ts";
import type { Restore } from "./records/restore-records.ts";

export interface RestoreRequest {
  readonly backupId: BackupId;
  /** Of the container that shall start with the files. */
  readonly namespace: Namespace;
  readonly containerId: ContainerId;
}

/** What the agent's API and other plugins may ask of backups. */
export interface BackupService {
  /** The table `backup.store` with the path in use, for programs on this host that look into the store themselves. */
  readonly storeTable: Readonly<Record<string, unknown>>;
  /** What is removed by itself. */
  readonly retention: RetentionRules;
  /** Path of the keys that layers are encrypted with. */
  readonly keyFile: string | undefined;
  /** Newest first: the backups made here, and those of other nodes in the same store. */
  list(signal: AbortSignal): Promise<readonly Backup[]>;
  /** The backups made on this host, without a look at the store. */
  own(): readonly Backup[];
  /** Rejects with `BACKUP_NOT_FOUND`. */
  get(id: BackupId, signal: AbortSignal): Promise<Backup>;
  /** Gives the backup now and after every change; ends once it is stored or an attempt has failed. */
  watch(id: BackupId, signal: AbortSignal): AsyncIterable<Backup>;
  /** Every backup of this host that goes from one phase to another, from now on; ends with the signal. */
  phaseChanges(signal: AbortSignal): AsyncIterable<PhaseChange>;
  /**
   * Takes a backup of a container without ending it; resolves when its files are safe on this host, and storing
   * goes on. Rejects with `CONTAINER_NOT_CAPTURABLE`, `CAPTURE_RUNNING`, `PAUSE_TOO_SHORT` or `STAGING_FULL`.
   */
  create(request: CaptureRequest, call: CaptureCall): Promise<Backup>;
  /**
   * Takes backups of all running containers that are kept, and waits until nothing on this host is left to be
   * stored. What fails is told and does not end it; backups that cannot be stored are counted, not waited for.
   */
  drain(wish: Pick<CaptureRequest, "pause">, call: DrainCall): Promise<DrainSummary>;
  /**
   * Asks that a container which has not started yet starts with the files of a backup; durable when it resolves,
   * replaces an earlier request for the container, and unpacking starts at once. Rejects with `BACKUP_NOT_FOUND`
   * or `RESTORE_TOO_LATE`.
   */
  requestRestore(request: RestoreRequest, signal: AbortSignal): Promise<Restore>;
  /**
   * Brings the last backup of a chain to this node, so that the container that continues it need not wait; gives its
   * id, or undefined when the chain has none. The work goes on when the caller gives up, and the container joins it.
   */
  prefetch(chain: ChainKey, signal: AbortSignal): Promise<BackupId | undefined>;
  /** Newest first. */
  restores(signal: AbortSignal): Promise<readonly Restore[]>;
  /**
   * Forgets a stored backup; later ones that build on it stay whole. Rejects with `BACKUP_NOT_FOUND`,
   * `BACKUP_NOT_STORED`, `BACKUP_PINNED`, or, unless forced, `BACKUP_IN_USE` while a container of any node runs on it.
   */
  remove(id: BackupId, signal: AbortSignal, options?: RemoveOptions): Promise<void>;
  /** Resolves when every backup is stored and its staged copy deleted. */
  settled(signal: AbortSignal): Promise<void>;
  /** Deletes unpacked layers that no container uses and none has used for the given time; gives their number. */
  sweepLayers(graceMs: number): Promise<number>;
}

/** Provided by the backup plugin. */
export const backupService: Capability<BackupService> = capability("backup");
