import * as v from "valibot";
import type { BackupRef } from "./backup-ref.ts";
import { backupSchema, descriptorSchema } from "./backup-document.ts";
import { chainSchema } from "./chain.ts";

const fields = backupSchema.entries;

const mention = {
  backup: fields.id,
  seq: fields.seq,
  node: fields.node,
  createdAt: fields.createdAt,
};
const tip = v.object({
  ...mention,
  /** Of the container's snapshot: several backups of it are not made from each other and still follow each other. */
  snapshotKey: fields.identity.entries.snapshotKey,
  manifest: descriptorSchema,
});
/** A backup that is not in the history of the one that HEAD names. */
const divergent = v.object(mention);

/** Where a chain stands: the one object of it that changes, by compare-and-swap. */
export const headSchema = v.object({
  format: v.literal(1),
  chain: chainSchema,
  /** The highest that was given; never falls, also when backups are removed. */
  seq: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** Rises whenever another node takes over or histories diverge, so that an older HEAD is never taken for a newer one. */
  epoch: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** What a container that continues the chain starts from; absent when all its backups were removed. */
  tip: v.optional(tip),
  /** The last backups that lost against the tip of their time because they had not been made from it. */
  diverged: v.array(divergent),
});
export type Head = v.InferOutput<typeof headSchema>;
export type Tip = v.InferOutput<typeof tip>;

const mostDiverged = 16;

const tipOf = ({ id, seq, node, createdAt, identity, manifest }: BackupRef): Tip => ({
  backup: id,
  seq,
  node,
  createdAt,
  snapshotKey: identity.snapshotKey,
  manifest,
});

const isSameContainer = (a: Tip, b: Tip): boolean => a.node === b.node && a.snapshotKey === b.snapshotKey;

const isLater = (a: Tip, b: Tip): boolean => {
  const difference = BigInt(a.createdAt) - BigInt(b.createdAt);
  return difference > 0n || (difference === 0n && a.backup > b.backup);
};

/**
 * The HEAD after a backup was published. It follows its history, and the later of two backups of one container; when the backup was made from another one than
 * the tip, both stay and the one made later becomes the tip. The same HEAD when there is nothing to change.
 */
export function advance(head: Head | undefined, ref: BackupRef): Head {
  const next = tipOf(ref);
  const seqs = Math.max(head?.seq ?? 0, ref.seq);
  if (head === undefined)
    return { format: 1, chain: ref.chain, seq: seqs, epoch: ref.epoch, tip: next, diverged: [] };
  if (head.tip === undefined) return { ...head, seq: seqs, epoch: head.epoch + 1, tip: next };
  if (head.tip.backup === ref.id || head.diverged.some(({ backup }) => backup === ref.id)) return head;
  const isHistory = ref.parent === head.tip.backup;
  if (isHistory)
    return { ...head, seq: seqs, epoch: head.epoch + (head.tip.node === ref.node ? 0 : 1), tip: next };
  if (isSameContainer(next, head.tip))
    return isLater(next, head.tip) ? { ...head, seq: seqs, tip: next } : withSeq(head, seqs);
  const [winner, loser] = isLater(next, head.tip) ? [next, head.tip] : [head.tip, next];
  const { manifest: _m, snapshotKey: _s, ...lost } = loser;
  const diverged = [...head.diverged, lost].slice(-mostDiverged);
  return { ...head, seq: seqs, epoch: head.epoch + 1, tip: winner, diverged };
}

const withSeq = (head: Head, seq: number): Head => (head.seq === seq ? head : { ...head, seq });

/** The HEAD without a backup that is removed; `remaining` is the newest of those that stay. */
export function withdraw(head: Head, removed: string, remaining: BackupRef | undefined): Head {
  const diverged = head.diverged.filter(({ backup }) => backup !== removed);
  if (head.tip?.backup !== removed) return { ...head, diverged };
  const { tip: _, ...rest } = head;
  return {
    ...rest,
    epoch: head.epoch + 1,
    ...(remaining !== undefined && { tip: tipOf(remaining) }),
    diverged: diverged.filter(({ backup }) => backup !== remaining?.id),
  };
}
