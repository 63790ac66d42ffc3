import {
  backupId,
  containerId,
  namespace,
  snapshotKey,
  type BackupId,
  type ContainerId,
  type Namespace,
  type PodIdentity,
  type SnapshotKey,
} from "@aeon/core";
import type { Consistency, Trigger } from "./capture/trigger.ts";
import type { BackupRecord } from "./records/backup-record.ts";
import type { BackupRef } from "./store/backup-ref.ts";
import type { StoredBackup } from "./store/backup-store.ts";
import { layout } from "./store/layout.ts";

/**
 * `staged`: safe on this host, waits to be packed. `stored`: complete in the store.
 * `failed`: the last attempt to store it failed; it stays staged and is tried again.
 */
export type BackupPhase = "staged" | "packing" | "stored" | "failed";

/** The files that a container had changed, as they were when it was removed or somebody asked. Times are nanoseconds since the epoch. */
export interface Backup {
  readonly id: BackupId;
  readonly state: BackupPhase;
  readonly namespace: Namespace;
  readonly containerId: ContainerId;
  readonly snapshotKey: SnapshotKey;
  readonly image?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly pod?: PodIdentity;
  readonly exit?: { readonly code: number; readonly at: bigint };
  /** True when the kernel killed a process of the container for want of memory. */
  readonly outOfMemory: boolean;
  /** Why it was taken. */
  readonly trigger: Trigger;
  readonly consistency: Consistency;
  /** The backup the container had been restored from. */
  readonly parent?: BackupId;
  readonly createdAt: bigint;
  readonly storedAt?: bigint;
  /** Bytes that the backup's own layer takes in the store, once stored; 0 when the container changed nothing. */
  readonly size?: bigint;
  /** Of the backup's manifest, once stored. */
  readonly digest?: string;
  /** Where it is: in the store, or the staged folder before that. */
  readonly location: string;
  /** Why the last attempt failed. */
  readonly failure?: string;
  /** How often storing it was tried. */
  readonly attempts: number;
  /** When storing it is tried again after a failure. */
  readonly nextAttemptAt?: bigint;
}

type Identity = BackupRecord["identity"];

const ofIdentity = (identity: Identity) => ({
  namespace: namespace(identity.namespace),
  containerId: containerId(identity.containerId),
  snapshotKey: snapshotKey(identity.snapshotKey),
  labels: identity.labels,
  outOfMemory: identity.outOfMemory === true,
  ...(identity.image !== undefined && { image: identity.image }),
  ...(identity.pod !== undefined && { pod: identity.pod }),
  ...(identity.exit !== undefined && { exit: { code: identity.exit.code, at: BigInt(identity.exit.at) } }),
});

/** A backup made on this node. */
export function backupOfRecord(record: BackupRecord, isRunning: boolean, folder: string): Backup {
  const { id, identity, parent, createdAt, storedAt, size, digest, location, failure, attempts } = record;
  const isStored = record.state === "stored";
  const waiting =
    isRunning || record.state === "intent" ? "packing" : failure === undefined ? "staged" : "failed";
  return {
    id,
    state: isStored ? "stored" : waiting,
    ...ofIdentity(identity),
    trigger: record.trigger,
    consistency: record.consistency,
    createdAt,
    location: location ?? folder,
    attempts,
    ...(parent !== undefined && { parent: parent.id }),
    ...(storedAt !== undefined && { storedAt }),
    ...(size !== undefined && { size: BigInt(size) }),
    ...(digest !== undefined && { digest }),
    ...(failure !== undefined && !isStored && { failure, nextAttemptAt: record.nextAttemptAt }),
  };
}

/** A backup that another node made, by its name in the store. */
export function backupOfRef(ref: BackupRef, store: string): Backup {
  const { id, chain, identity, createdAt, parent, size, manifest } = ref;
  return {
    id: backupId(id),
    state: "stored",
    ...ofIdentity(identity),
    trigger: ref.trigger,
    consistency: ref.consistency,
    createdAt: BigInt(createdAt),
    size: BigInt(size),
    digest: manifest.digest,
    location: `${store}/${layout.pointer(layout.tenant(chain.tenant), id)}`,
    attempts: 1,
    ...(parent !== undefined && { parent: backupId(parent) }),
  };
}

/** A backup that another node made. */
export function backupOfStore({ document, digest, location }: StoredBackup): Backup {
  const { id, identity, createdAt, parent, layers } = document;
  return {
    id: backupId(id),
    state: "stored",
    ...ofIdentity(identity),
    trigger: document.trigger,
    consistency: document.consistency,
    createdAt: BigInt(createdAt),
    size: BigInt(layers.find((layer) => layer.backup === id)?.size ?? 0),
    digest,
    location,
    attempts: 1,
    ...(parent !== undefined && { parent: backupId(parent) }),
  };
}
