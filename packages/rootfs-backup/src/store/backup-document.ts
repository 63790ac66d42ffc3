import * as v from "valibot";
import { consistencySchema, triggerSchema } from "../capture/trigger.ts";
import { chainSchema } from "./chain.ts";
import { digestPattern } from "./digest.ts";
import { backupIdPattern } from "./backup-id.ts";

const digest = v.pipe(v.string(), v.regex(digestPattern));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/** Nanoseconds since the epoch as decimal digits, since JSON has no such integers. */
const time = v.pipe(v.string(), v.regex(/^\d{1,19}$/));

/** Points to a stored blob, as in OCI. */
export const descriptorSchema = v.object({ mediaType: v.string(), digest, size: count });

const layer = v.object({
  /** Whose blobs it consists of: the chain's tenant. */
  tenant: v.pipe(v.string(), v.minLength(1)),
  digest,
  size: count,
  diffId: digest,
  rawSize: count,
  entries: count,
  /** Absent: not encrypted. */
  cipher: v.optional(
    v.object({ algorithm: v.literal("AES-256-GCM"), keyId: v.string(), wrappedKey: v.string() }),
  ),
  /** The backup that added this layer. */
  backup: v.string(),
  /** The blob that tells where its frames are. */
  index: descriptorSchema,
  /** The blob that tells what is in it. */
  toc: descriptorSchema,
});

const idRanges = v.pipe(v.array(v.object({ container: count, host: count, size: count })), v.readonly());
/** How ids of a container in a user namespace are stored in its upper directory. */
export const idMapsSchema = v.object({ uids: idRanges, gids: idRanges });

const pod = v.object({ namespace: v.string(), name: v.string(), uid: v.string(), container: v.string() });

const deviation = v.object({
  kind: v.picklist(["skipped", "dropped", "torn", "excluded"]),
  path: v.string(),
  reason: v.string(),
});

/** Whose layer a backup is; learnt before the container went. */
export const identitySchema = v.object({
  namespace: v.string(),
  containerId: v.string(),
  snapshotKey: v.string(),
  image: v.optional(v.string()),
  labels: v.record(v.string(), v.string()),
  pod: v.optional(pod),
  exit: v.optional(v.object({ code: v.number(), at: time })),
  outOfMemory: v.optional(v.boolean()),
});

/** What a store knows of a backup, layer data aside. */
export const backupSchema = v.object({
  /** Readers refuse other numbers. */
  format: v.literal(1),
  id: v.pipe(v.string(), v.regex(backupIdPattern)),
  chain: chainSchema,
  /** Rises along the chain, whatever clocks say; two nodes that write at once may give the same. */
  seq: v.pipe(count, v.minValue(1)),
  /** Of the chain's HEAD when this was published: rises whenever another writer takes the chain over. */
  epoch: count,
  /** Where it was made. */
  node: v.string(),
  identity: identitySchema,
  createdAt: time,
  trigger: triggerSchema,
  consistency: consistencySchema,
  /** The backup that the container had been restored from. */
  parent: v.optional(v.string()),
  /** What the container was made from, as far as it is known. */
  base: v.optional(
    v.object({
      image: v.optional(v.string()),
      digest: v.optional(digest),
      diffIds: v.optional(v.array(digest)),
      /** Of all its layers, in the sense of OCI. */
      chainId: v.optional(digest),
    }),
  ),
  /** True when its own layer holds all that the backup stands for, and it needs none of its parent's. */
  squashed: v.optional(v.boolean()),
  /** The lowest first; the last is the container's own changes unless it made none. */
  layers: v.array(layer),
  report: v.object({
    counts: v.record(v.string(), count),
    deviations: v.array(deviation),
    deviationCount: count,
  }),
});

/** One layer of a chain, with all that is needed to verify it. */
export type StoredLayer = v.InferOutput<typeof layer>;
export type BackupIdentity = v.InferOutput<typeof identitySchema>;
/** A backup as a store holds it. */
export type BackupDocument = v.InferOutput<typeof backupSchema>;
/** A backup that has no place in its chain yet. */
export type BackupDraft = Omit<BackupDocument, "seq" | "epoch">;
export type Descriptor = v.InferOutput<typeof descriptorSchema>;

export const layersSchema = v.array(layer);
