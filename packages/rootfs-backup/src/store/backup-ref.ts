import * as v from "valibot";
import { consistencySchema, triggerSchema } from "../capture/trigger.ts";
import { backupSchema, descriptorSchema, identitySchema, type BackupDocument } from "./backup-document.ts";
import { chainSchema } from "./chain.ts";

const fields = backupSchema.entries;

/**
 * A name of a backup with what lists show, so that nothing else has to be read for them: the same in a chain's
 * `refs`, in `backups`, in `pins` and in `removed`. Written once.
 */
export const refSchema = v.object({
  format: v.literal(1),
  id: fields.id,
  chain: chainSchema,
  seq: fields.seq,
  epoch: fields.epoch,
  node: fields.node,
  createdAt: fields.createdAt,
  parent: v.optional(v.string()),
  trigger: triggerSchema,
  consistency: consistencySchema,
  identity: identitySchema,
  manifest: descriptorSchema,
  /** Bytes that the backup's own layer takes; 0 when the container changed nothing. */
  size: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** Everything that has to stay for it, the manifest aside. */
  blobs: v.array(v.object({ digest: descriptorSchema.entries.digest, size: descriptorSchema.entries.size })),
});
export type BackupRef = v.InferOutput<typeof refSchema>;

/** The names of a backup whose blobs are given. */
export function refOf(
  document: BackupDocument,
  manifest: BackupRef["manifest"],
  config: BackupRef["manifest"],
): BackupRef {
  const { id, chain, seq, epoch, node, createdAt, parent, trigger, consistency, identity, layers } = document;
  const blobs = [config, ...layers.flatMap((layer) => [layer, layer.index, layer.toc])];
  return {
    format: 1,
    id,
    chain,
    seq,
    epoch,
    node,
    createdAt,
    ...(parent !== undefined && { parent }),
    trigger,
    consistency,
    identity,
    manifest,
    size: layers.find(({ backup }) => backup === id)?.size ?? 0,
    blobs: blobs.map(({ digest, size }) => ({ digest, size })),
  };
}

/** The order of a chain: what a clock says decides only between backups that two nodes made at once. */
export function compareRefs(a: BackupRef, b: BackupRef): number {
  const times = BigInt(a.createdAt) - BigInt(b.createdAt);
  return a.seq - b.seq || Number(times > 0n) - Number(times < 0n) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
