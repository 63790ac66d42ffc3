import type { SnapshotKey } from "./brand.ts";
import { capability, type Capability } from "./capability.ts";

/**
 * containerd's snapshot semantics (core/snapshots/snapshotter.go): a committed snapshot is an immutable layer,
 * an active one is writable, a view is read-only; active and view become mounts.
 */
export type SnapshotKind = "view" | "active" | "committed";

/** One mount(2) as containerd passes it around (`containerd.types.Mount`). */
export interface Mount {
  readonly type: string;
  readonly source: string;
  /** Subdirectory of an earlier mount; empty for the first one. */
  readonly target: string;
  readonly options: readonly string[];
}

export type Labels = Readonly<Record<string, string>>;

export interface SnapshotInfo {
  readonly name: SnapshotKey;
  /** Absent for a base layer. */
  readonly parent?: SnapshotKey;
  readonly kind: SnapshotKind;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  /** Nanoseconds since the epoch. */
  readonly updatedAt: bigint;
  readonly labels: Labels;
}

/** Disk usage of one snapshot without its parents. */
export interface SnapshotUsage {
  /** Bytes in allocated blocks, each inode once. */
  readonly size: bigint;
  readonly inodes: bigint;
}

export interface PrepareRequest {
  readonly key: SnapshotKey;
  readonly parent?: SnapshotKey;
  readonly labels: Labels;
}
export interface CommitRequest {
  readonly name: SnapshotKey;
  readonly key: SnapshotKey;
  readonly labels: Labels;
  /** Sent by containerd 2.2 and later: the parent the snapshot shall have. */
  readonly parent?: SnapshotKey;
}
export interface KeyRequest {
  readonly key: SnapshotKey;
}
export interface UpdateRequest {
  readonly name: SnapshotKey;
  readonly labels: Labels;
  /** Empty: replace all labels. Else `labels` or `labels.<key>` paths; anything else is refused. */
  readonly paths: readonly string[];
}
export interface ListRequest {
  /** containerd filter expressions; any may match; none matches all. */
  readonly filters: readonly string[];
}

/** Cleanup has no parameters. */
export type CleanupRequest = Readonly<Record<string, never>>;

/** Request and reply of every snapshot operation, by name. */
export interface SnapshotOperations {
  prepare: { request: PrepareRequest; reply: readonly Mount[] };
  view: { request: PrepareRequest; reply: readonly Mount[] };
  mounts: { request: KeyRequest; reply: readonly Mount[] };
  commit: { request: CommitRequest; reply: void };
  remove: { request: KeyRequest; reply: void };
  stat: { request: KeyRequest; reply: SnapshotInfo };
  update: { request: UpdateRequest; reply: SnapshotInfo };
  list: { request: ListRequest; reply: AsyncIterable<SnapshotInfo> };
  usage: { request: KeyRequest; reply: SnapshotUsage };
  cleanup: { request: CleanupRequest; reply: void };
}

export type SnapshotOperation = keyof SnapshotOperations;

/** Who calls, as far as the transport tells. containerd's garbage collector sends neither namespace nor lease. */
export interface Caller {
  readonly namespace?: string;
  readonly lease?: string;
}

/**
 * A snapshotter with containerd's semantics and error codes: one method per operation.
 * Every method may reject with an AeonError: not-found, already-exists, invalid-argument, failed-precondition.
 */
export type Snapshotter = {
  readonly [Op in SnapshotOperation]: (
    request: SnapshotOperations[Op]["request"],
    context: CallContext,
  ) => Promise<SnapshotOperations[Op]["reply"]>;
} & AsyncDisposable;

export interface CallContext {
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/**
 * Begins the names of snapshots that plugins make for themselves at the backend. containerd never makes such names:
 * its second part is a number. They are not listed to callers and callers cannot remove them.
 */
export const ownSnapshotPrefix = "aeon/restored/";

/** The snapshotter below all hooks; provided by the snapshotter plugin. */
export const snapshotBackend: Capability<Snapshotter> = capability("snapshot-backend");
