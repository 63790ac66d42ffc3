import type {
  BackupId,
  ContainerId,
  ContainerRegistry,
  Health,
  Labels,
  Namespace,
  PodIdentity,
  SnapshotKey,
  Snapshotter,
} from "@aeon/core";

/** Where a plugin stands in its life. */
export type PluginState = "starting" | "ready" | "failed" | "stopped";

export interface PluginStatus {
  readonly name: string;
  readonly state: PluginState;
  /** Why it last failed. */
  readonly failure?: string;
  readonly restarts: number;
  readonly checks: readonly { readonly name: string; readonly health: Health }[];
}

export interface SocketStatus {
  readonly name: string;
  /** Absolute path, or host:port. */
  readonly address: string;
}

/** What containerd says of itself, or why it cannot be asked. */
export type ContainerdStatus = { readonly address: string } & (
  | { readonly connected: true; readonly version: string; readonly revision: string }
  | { readonly connected: false; readonly failure: string }
);

export type BackupState = "staged" | "packing" | "stored" | "failed";

/** One backup, wherever it stands between staging and the store. */
export interface BackupRecord {
  readonly id: BackupId;
  readonly state: BackupState;
  readonly namespace: Namespace;
  readonly containerId?: ContainerId;
  readonly snapshotKey: SnapshotKey;
  readonly image?: string;
  readonly pod?: PodIdentity;
  readonly labels: Labels;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  readonly storedAt?: bigint;
  /** Bytes of the archive, once stored. */
  readonly size?: bigint;
  readonly digest?: string;
  /** Path in the store, or of the staged folder. */
  readonly location: string;
  /** Why the last attempt failed. */
  readonly failure?: string;
  readonly attempts: number;
}

export type RestoreState = "pending" | "done" | "failed";

/** A wish that a container starts with the files of a backup. */
export interface RestoreRecord {
  readonly backupId: BackupId;
  readonly namespace: Namespace;
  readonly containerId: ContainerId;
  readonly state: RestoreState;
  /** Nanoseconds since the epoch. */
  readonly requestedAt: bigint;
  readonly finishedAt?: bigint;
  readonly failure?: string;
}

/** The part of the backup service that the admin API needs. */
export interface AdminBackups {
  /** Every backup, staged ones included, in any order. */
  list(signal: AbortSignal): Promise<readonly BackupRecord[]>;
  /** Rejects with not-found. */
  get(id: BackupId, signal: AbortSignal): Promise<BackupRecord>;
  /** The record now and after every change, until it is stored or the signal is aborted. */
  watch(id: BackupId, signal: AbortSignal): AsyncIterable<BackupRecord>;
  /** Resolves when the wish is durable; rejects with not-found, or failed-precondition for a backup that cannot be restored. */
  requestRestore(
    request: { readonly backupId: BackupId; readonly namespace: Namespace; readonly containerId: ContainerId },
    signal: AbortSignal,
  ): Promise<RestoreRecord>;
  restores(signal: AbortSignal): Promise<readonly RestoreRecord[]>;
}

/**
 * What the admin service looks at. The functions are asked anew for every call, because plugins come and go;
 * they return undefined while the part is not running.
 */
export interface AdminDeps {
  readonly version: string;
  readonly startedAt: Date;
  /** Folder for durable state. */
  readonly root: string;
  /** Folder for run-time state. */
  readonly state: string;
  plugins(): readonly PluginStatus[];
  sockets(): readonly SocketStatus[];
  containerd(signal: AbortSignal): Promise<ContainerdStatus>;
  /** The backend below all hooks. */
  snapshotter(): Snapshotter | undefined;
  containers(): ContainerRegistry | undefined;
  backups(): AdminBackups | undefined;
}
