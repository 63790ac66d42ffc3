import type { BackupId } from "@aeon/core";
import type { LayerFiles } from "../archive/blob-descriptor.ts";
import type { LocalFile, Pace } from "../objects/object-store.ts";
import type { Expired } from "./apply-retention.ts";
import type { BackupDocument, BackupDraft, Descriptor, StoredLayer } from "./backup-document.ts";
import type { BackupRef } from "./backup-ref.ts";
import type { ChainKey } from "./chain.ts";
import type { Turn } from "./claim-turn.ts";
import type { DoomedObject } from "./doomed.ts";
import type { Head } from "./head.ts";
import type { Hold, HoldRequest } from "./holds.ts";
import type { ListFilter } from "./list-refs.ts";
import type { RemoveOptions } from "./remove-backup.ts";
import type { RetentionRules } from "./retention.ts";

/** What a store says of a backup that it holds. */
export interface StoredBackup {
  readonly document: BackupDocument;
  /** Of the manifest. */
  readonly digest: string;
  /** For people: where the backup is. */
  readonly location: string;
}

export interface PutLayerOptions {
  readonly signal: AbortSignal;
  /** Told how many bytes of the layer's blobs are done, now and then. */
  readonly onProgress?: (bytes: number) => void;
  /** Leaves the files where they are. */
  readonly keep?: boolean;
  /** Asked before bytes leave this host's disk. */
  readonly pace?: Pace;
}

/** How a stored layer is looked at: that its blobs are there in their sizes, or by reading all of them back too. */
export type Verification = "size" | "content";

export interface VerifyLayerOptions {
  readonly signal: AbortSignal;
  readonly verification: Verification;
  /** Told how many bytes were looked at. */
  readonly onProgress?: (bytes: number) => void;
}

/** Why a backup must not be removed, by whatever rule. */
export interface Pin {
  readonly backup: BackupId;
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly pinnedAt: number;
}

export interface SweepOptions {
  readonly signal: AbortSignal;
  /** How long data stays that nothing names any more; default 24 hours. */
  readonly graceMs?: number;
  /** Only count what would be deleted. */
  readonly dryRun?: boolean;
  /** Told of each object that would be deleted, in a dry run. */
  readonly onDoomed?: (object: DoomedObject) => void;
}

export interface SweepReport {
  /** Blobs deleted, and their bytes. */
  readonly blobs: number;
  readonly bytes: number;
  /** Blobs that something names. */
  readonly kept: number;
  /** False when time ran out or a name could not be read; the next sweep goes on. */
  readonly complete: boolean;
}

/**
 * Backups in an object store. A backup that can be read implies layers that are there: data comes before the
 * manifest, the manifest before the names, and the chain's HEAD last. Everything that resolved is durable. Tenants
 * are apart: nothing of one is ever read for another. Rejects with `BACKUP_DAMAGED` or `BACKUP_FOREIGN` for what
 * aeon did not write so.
 */
export interface BackupStore extends AsyncDisposable {
  /** For people. */
  readonly location: string;
  /** A folder on this host for files that are about to be given to {@link putLayer}; it survives restarts. */
  spool(signal: AbortSignal): Promise<string>;
  /** Takes a layer's files over as blobs of its tenant; may be repeated, also with files that were taken before. */
  putLayer(files: LayerFiles, layer: StoredLayer, options: PutLayerOptions): Promise<void>;
  /**
   * Looks whether the store has the layer's blobs. Rejects with `LAYER_MISSING` when it has not; one whose content is
   * another is removed from the store first, so that it can be uploaded again.
   */
  verifyLayer(layer: StoredLayer, options: VerifyLayerOptions): Promise<void>;
  /** A file on this host with the layer's bytes, unverified. Rejects with `BACKUP_DAMAGED` when it is not there. */
  openLayer(layer: StoredLayer, signal: AbortSignal): Promise<LocalFile>;
  /** A range of a blob, unverified: exactly as many bytes. Rejects with `BACKUP_DAMAGED`. */
  readBlob(
    tenant: string,
    blob: Pick<Descriptor, "digest" | "size">,
    range: { readonly offset: number; readonly length: number },
    signal: AbortSignal,
  ): Promise<Buffer>;
  /** Copies a layer to another tenant and gives it as that tenant's. */
  copyLayer(layer: StoredLayer, tenant: string, signal: AbortSignal): Promise<StoredLayer>;
  /**
   * Names a backup whose layers are all there, gives it its place in its chain, and moves the chain's HEAD. When
   * the id is taken, gives what it already stands for. Rejects with `LAYER_MISSING`.
   */
  putBackup(draft: BackupDraft, signal: AbortSignal): Promise<StoredBackup>;
  /** Undefined when there is none. Looks in all tenants unless one is given. */
  getBackup(id: BackupId, signal: AbortSignal, tenant?: string): Promise<StoredBackup | undefined>;
  /** The name of a backup, which may be there when the rest is damaged. */
  named(id: BackupId, signal: AbortSignal): Promise<BackupRef | undefined>;
  /** In no particular order; reads nothing of other tenants, workloads or containers than those asked for. */
  list(filter: ListFilter, signal: AbortSignal): AsyncIterable<BackupRef>;
  /** What a container that continues the chain starts from; undefined when the chain has no backup. */
  head(chain: ChainKey, signal: AbortSignal): Promise<Head | undefined>;
  /** Keeps a backup from being removed. Rejects with `BACKUP_NOT_FOUND`. */
  pin(id: BackupId, reason: string, signal: AbortSignal): Promise<Pin>;
  unpin(id: BackupId, signal: AbortSignal): Promise<void>;
  pins(tenant: string, signal: AbortSignal): Promise<readonly Pin[]>;
  /**
   * Forgets the names; {@link sweep} deletes data that nothing else names. Rejects with `BACKUP_PINNED` or
   * `BACKUP_IN_USE`.
   */
  removeBackup(id: BackupId, signal: AbortSignal, options?: RemoveOptions): Promise<void>;
  /** Rejects as {@link removeBackup} would; changes nothing. */
  assertRemovable(id: BackupId, tenant: string, signal: AbortSignal, options?: RemoveOptions): Promise<void>;
  /** Tells others what containers of a node run on, until it is told otherwise or the time has passed. */
  hold(request: HoldRequest, signal: AbortSignal): Promise<void>;
  /** What nodes told of a tenant, without what has expired. */
  holds(tenant: string, signal: AbortSignal): Promise<readonly Hold[]>;
  /** Whether a backup has a name; cheaper than {@link getBackup}. */
  hasBackup(id: BackupId, tenant: string, signal: AbortSignal): Promise<boolean>;
  /** Removes the backups that the rules let go, in every chain; gives their ids. `now` is in milliseconds. */
  retain(rules: RetentionRules, now: number, signal: AbortSignal): Promise<readonly BackupId[]>;
  /** What {@link retain} would remove now, and by which rule. */
  previewRetention(rules: RetentionRules, now: number, signal: AbortSignal): AsyncIterable<Expired>;
  /** Whether it is this node's turn to do something for all: gives the store's time in milliseconds, else undefined. */
  claim(turn: Turn, intervalMs: number, signal: AbortSignal): Promise<number | undefined>;
  /** Deletes data that nothing names, in all tenants; several nodes may do so at once, and publish meanwhile. */
  sweep(options: SweepOptions): Promise<SweepReport>;
}
