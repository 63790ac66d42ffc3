import type { Labels, SnapshotInfo, SnapshotKey, SnapshotKind, SnapshotUsage } from "@aeon/core";

/** One snapshot as it is stored. Replaced, never changed. */
export interface SnapshotRecord {
  /** Names the snapshot's directory; never used twice. */
  readonly id: number;
  readonly key: SnapshotKey;
  /** Absent for a base layer. */
  readonly parent?: number;
  readonly kind: SnapshotKind;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  /** Nanoseconds since the epoch. */
  readonly updatedAt: bigint;
  readonly labels: Labels;
  /** Of a committed snapshot, once it was measured. */
  readonly usage?: SnapshotUsage;
}

/** What callers see of a record. `parentKey` is its parent's present name. */
export function infoOf(record: SnapshotRecord, parentKey: SnapshotKey | undefined): SnapshotInfo {
  const { key, kind, createdAt, updatedAt, labels } = record;
  return {
    name: key,
    ...(parentKey === undefined ? {} : { parent: parentKey }),
    kind,
    createdAt,
    updatedAt,
    labels,
  };
}
