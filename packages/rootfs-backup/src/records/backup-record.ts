import { backupId, snapshotKey, type BackupId, type SnapshotKey } from "@aeon/core";
import * as v from "valibot";
import { consistencySchema, triggerSchema, type Consistency, type Trigger } from "../capture/trigger.ts";
import type { IdMaps } from "../archive/id-map.ts";
import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";
import { present } from "../present.ts";
import {
  idMapsSchema,
  identitySchema,
  layersSchema,
  type BackupIdentity,
  type StoredLayer,
} from "../store/backup-document.ts";
import { results, type Packed } from "../worker/job.ts";
import { integer, optionalInteger, optionalText, text, type Row } from "./row.ts";

/**
 * `intent`: the layer may or may not have been moved. `staged`: it is safe on this host, where {@link Place} says.
 * `stored`: it is in the store.
 */
export type BackupState = "intent" | "staged" | "stored";

/** `snapshot`: the layer of a dead container, still where it was made. `staging`: in the staging folder. */
export type Place = "snapshot" | "staging";

/** What has to be known before a layer is touched. */
export interface NewBackup {
  readonly id: BackupId;
  readonly snapshotKey: SnapshotKey;
  /** Tells a snapshot from a later one of the same key; nanoseconds since the epoch. */
  readonly snapshotCreated: bigint;
  /** The image's top layer. */
  readonly snapshotParent?: SnapshotKey;
  /** Where the layer was. */
  readonly upperdir: string;
  readonly overlay: OverlayNamespace;
  readonly idMaps?: IdMaps;
  readonly identity: BackupIdentity;
  /** What the container had been restored from. The layers are absent while that backup is not stored itself. */
  readonly parent?: { readonly id: BackupId; readonly layers?: readonly StoredLayer[] };
  readonly createdAt: bigint;
  /** Why it was taken. */
  readonly trigger: Trigger;
  readonly consistency: Consistency;
  /** True for what a snapshot ends as, of which there is one; false for what was taken of a running container. */
  readonly final: boolean;
}

/** A backup that was made on this node. */
export interface BackupRecord extends NewBackup {
  readonly state: BackupState;
  readonly place: Place;
  /** Set when staging holds the packed layer, beside its files or, of a running container's, instead of them. */
  readonly packed?: Packed;
  /** Whether what is packed stands for the layers below it too. */
  readonly squashed: boolean;
  /** When the store had taken all of the packed layer; it is not named there yet. */
  readonly uploadedAt?: bigint;
  readonly storedAt?: bigint;
  /** True once the staged copy is deleted. */
  readonly discarded: boolean;
  /** Bytes of the staged layer, once measured. */
  readonly stagedBytes?: number;
  /** How often storing it was tried. */
  readonly attempts: number;
  /** Not to be tried before; nanoseconds since the epoch. */
  readonly nextAttemptAt: bigint;
  /** Why the last attempt failed. */
  readonly failure?: string;
  /** Of the manifest, once stored. */
  readonly digest?: string;
  /** Bytes of the backup's own layer in the store, once stored. */
  readonly size?: number;
  readonly location?: string;
  /** The whole chain, the lowest first, once stored. */
  readonly layers?: readonly StoredLayer[];
}

const placeSchema = v.picklist(["snapshot", "staging"]);
const stateSchema = v.picklist(["intent", "staged", "stored"]);
const overlaySchema = v.picklist(["trusted", "user"]);

export function recordOf(row: Row): BackupRecord {
  const parent = optionalText(row, "parent");
  const parentLayers = optionalText(row, "parent_layers");
  const layers = optionalText(row, "layers");
  const packed = optionalText(row, "packed");
  const idMaps = optionalText(row, "id_maps");
  const snapshotParent = optionalText(row, "snapshot_parent");
  const optional = {
    idMaps: idMaps === undefined ? undefined : v.parse(idMapsSchema, JSON.parse(idMaps)),
    snapshotParent: snapshotParent === undefined ? undefined : snapshotKey(snapshotParent),
    storedAt: optionalInteger(row, "stored_at"),
    uploadedAt: optionalInteger(row, "uploaded_at"),
    failure: optionalText(row, "failure"),
    digest: optionalText(row, "digest"),
    location: optionalText(row, "location"),
    stagedBytes: optionalNumber(row, "staged_bytes"),
    size: optionalNumber(row, "size"),
    parent:
      parent === undefined
        ? undefined
        : {
            id: backupId(parent),
            ...(parentLayers !== undefined && { layers: v.parse(layersSchema, JSON.parse(parentLayers)) }),
          },
    packed: packed === undefined ? undefined : v.parse(results.pack, JSON.parse(packed)),
    layers: layers === undefined ? undefined : v.parse(layersSchema, JSON.parse(layers)),
  };
  return {
    id: backupId(text(row, "id")),
    snapshotKey: snapshotKey(text(row, "snapshot_key")),
    snapshotCreated: integer(row, "snapshot_created"),
    state: v.parse(stateSchema, row["state"]),
    place: v.parse(placeSchema, row["place"]),
    trigger: v.parse(triggerSchema, row["trigger"]),
    consistency: v.parse(consistencySchema, row["consistency"]),
    final: integer(row, "final") === 1n,
    upperdir: text(row, "upperdir"),
    overlay: v.parse(overlaySchema, row["overlay"]),
    identity: v.parse(identitySchema, JSON.parse(text(row, "identity"))),
    createdAt: integer(row, "created_at"),
    discarded: integer(row, "discarded") === 1n,
    squashed: integer(row, "squashed") === 1n,
    attempts: Number(integer(row, "attempts")),
    nextAttemptAt: integer(row, "next_attempt_at"),
    ...present(optional),
  };
}

function optionalNumber(row: Row, name: string): number | undefined {
  const value = optionalInteger(row, name);
  return value === undefined ? undefined : Number(value);
}
