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
import type { Phase, Progress } from "./queue/phases.ts";
import type { BackupRecord } from "./records/backup-record.ts";
import type { BackupRef } from "./store/backup-ref.ts";
import type { StoredLayer } from "./store/backup-document.ts";
import type { StoredBackup } from "./store/backup-store.ts";
import { layout } from "./store/layout.ts";

/** The phases that a backup can be seen in. */
export type BackupPhase = Exclude<Phase, "pending" | "skipped">;

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
  /** Entries of the backup's own layer, once stored: files, folders, and marks for what was deleted. */
  readonly files?: number;
  /** Of what is in the backup's own layer, whatever it was packed with; once stored, unless it is empty. */
  readonly checksum?: string;
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
  /** How far it is with packing, uploading or verifying, in bytes. */
  readonly progress?: Progress;
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

/** The phases that last while something is done. */
const working: ReadonlySet<Phase> = new Set(["packing", "uploading", "verifying"]);

function phaseOf({ state, failure }: BackupRecord, current: Phase | undefined): BackupPhase {
  if (state === "stored") return "stored";
  if (state === "intent") return "capturing";
  if (current === "packing" || current === "uploading" || current === "verifying") return current;
  return failure === undefined ? "staged" : "failed";
}

/** What the layer that the backup added says of itself. */
function contentOf(
  id: string,
  layers: readonly StoredLayer[] | undefined,
): Pick<Backup, "files" | "checksum"> {
  if (layers === undefined) return {};
  const own = layers.find((layer) => layer.backup === id);
  return own === undefined ? { files: 0 } : { files: own.entries, checksum: own.diffId };
}

/** A backup made on this node; `current` is what this process does with it. */
export function backupOfRecord(
  record: BackupRecord,
  current: { readonly phase: Phase; readonly progress?: Progress } | undefined,
  folder: string,
): Backup {
  const { id, identity, parent, createdAt, storedAt, size, digest, location, failure, attempts } = record;
  const isStored = record.state === "stored";
  const state = phaseOf(record, current?.phase);
  return {
    id,
    state,
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
    ...contentOf(id, record.layers),
    ...(failure !== undefined && !isStored && { failure, nextAttemptAt: record.nextAttemptAt }),
    ...(working.has(state) && current?.progress !== undefined && { progress: current.progress }),
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
    ...contentOf(id, layers),
    digest,
    location,
    attempts: 1,
    ...(parent !== undefined && { parent: backupId(parent) }),
  };
}
