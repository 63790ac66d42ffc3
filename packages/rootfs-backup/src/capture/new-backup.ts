import {
  containerId,
  type ContainerEntry,
  type PodEndReason,
  type SnapshotInfo,
  type SnapshotKey,
} from "@aeon/core";
import type { NewBackup } from "../records/backup-record.ts";
import type { Binding } from "../records/binding-records.ts";
import type { BackupIdentity } from "../store/backup-document.ts";
import { endOfFinal, newBackupId } from "../store/backup-id.ts";
import type { KeyParts } from "./snapshot-key.ts";
import type { Trigger } from "./trigger.ts";
import type { WritableLayer } from "./writable-layer.ts";

/** All that is known of a layer before it is touched. */
export interface Found {
  readonly key: SnapshotKey;
  readonly parts: KeyParts;
  readonly info: SnapshotInfo;
  readonly layer: WritableLayer;
  /** Undefined when nothing is known of the container. */
  readonly entry: ContainerEntry | undefined;
  /** What the container stands on, if anything but its image. */
  readonly binding: Binding | undefined;
}

/** Describes a new backup of a layer. `now` is in nanoseconds since the epoch. */
export function newBackup(
  { key, parts, info, layer, entry, binding }: Found,
  how: Pick<NewBackup, "trigger" | "consistency" | "final">,
  now: bigint,
): NewBackup {
  return {
    ...how,
    id: newBackupId(
      new Date(Number(now / 1_000_000n)),
      how.final ? endOfFinal(key, info.createdAt) : undefined,
    ),
    snapshotKey: key,
    snapshotCreated: info.createdAt,
    ...(info.parent !== undefined && { snapshotParent: info.parent }),
    upperdir: layer.upperdir,
    overlay: layer.overlay,
    ...(layer.idMaps !== undefined && { idMaps: layer.idMaps }),
    identity: identityOf(key, entry, parts),
    createdAt: now,
    ...(binding !== undefined && { parent: parentOf(binding) }),
  };
}

/** How a layer is taken whose container has ended, and why. */
export const howOf = (
  entry: ContainerEntry | undefined,
  ending: PodEndReason | undefined,
): Pick<NewBackup, "trigger" | "consistency" | "final"> => ({
  trigger: ending ?? triggerOf(entry),
  consistency: "exact",
  final: true,
});

function triggerOf(entry: ContainerEntry | undefined): Trigger {
  if (entry?.outOfMemory === true) return "oom";
  return entry?.exit === undefined ? "removed" : "exited";
}

/** Files that are used where they lie belong to backups that may not be stored yet, so their layers are not known. */
const parentOf = ({ backup, layers, inPlace }: Binding): NonNullable<NewBackup["parent"]> =>
  inPlace.length > 0 ? { id: backup } : { id: backup, layers };

function identityOf(key: SnapshotKey, entry: ContainerEntry | undefined, parts: KeyParts): BackupIdentity {
  return {
    namespace: entry?.namespace ?? parts.namespace,
    containerId: entry?.containerId ?? containerId(parts.clientKey),
    snapshotKey: key,
    labels: { ...entry?.labels },
    ...(entry?.image !== undefined && { image: entry.image }),
    ...(entry?.pod !== undefined && { pod: entry.pod }),
    ...(entry?.exit !== undefined && { exit: { code: entry.exit.code, at: String(entry.exit.at) } }),
    ...(entry?.outOfMemory !== undefined && { outOfMemory: entry.outOfMemory }),
  };
}
