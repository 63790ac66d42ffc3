import type { Mount, SnapshotInfo, SnapshotKind } from "@aeon/core";
import { snapshots } from "@aeon/proto";

const nanosPerSecond = 1_000_000_000n;

const kinds = {
  view: snapshots.Kind.VIEW,
  active: snapshots.Kind.ACTIVE,
  committed: snapshots.Kind.COMMITTED,
} as const satisfies Record<SnapshotKind, snapshots.Kind>;

/** An Info message. */
export function infoMessage(info: SnapshotInfo) {
  return {
    name: info.name,
    parent: info.parent ?? "",
    kind: kinds[info.kind],
    createdAt: timestamp(info.createdAt),
    updatedAt: timestamp(info.updatedAt),
    labels: info.labels,
  };
}

/** A reply with mounts. */
export function mountsMessage(mounts: readonly Mount[]) {
  return { mounts: mounts.map((mount) => ({ ...mount, options: [...mount.options] })) };
}

function timestamp(nanoseconds: bigint) {
  return { seconds: nanoseconds / nanosPerSecond, nanos: Number(nanoseconds % nanosPerSecond) };
}
