import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { snapshotKey, type Mount, type SnapshotInfo, type SnapshotKind } from "@aeon/core";
import { snapshots, type types } from "@aeon/proto";
import { errors } from "../errors.ts";

/** As containerd's own client reads kinds: anything but a view or an active snapshot is committed. */
const kinds: Readonly<Partial<Record<number, SnapshotKind>>> = {
  [snapshots.Kind.VIEW]: "view",
  [snapshots.Kind.ACTIVE]: "active",
};

/** Reads mounts from the wire. */
export const mountsFromWire = (mounts: readonly types.Mount[]): readonly Mount[] =>
  mounts.map(({ type, source, target, options }) => ({ type, source, target, options: [...options] }));

/** Reads a record from the wire; throws `REMOTE_REPLY_INVALID` when the server sent none. */
export function infoFromWire(info: snapshots.Info | undefined, doing: string): SnapshotInfo {
  if (info === undefined || info.name === "")
    throw errors.REMOTE_REPLY_INVALID(`the remote snapshotter answered ${doing} without a snapshot`);
  return {
    name: snapshotKey(info.name),
    ...(info.parent !== "" && { parent: snapshotKey(info.parent) }),
    kind: kinds[info.kind] ?? "committed",
    createdAt: nanoseconds(info.createdAt),
    updatedAt: nanoseconds(info.updatedAt),
    labels: { ...info.labels },
  };
}

const nanoseconds = (at: Timestamp | undefined): bigint =>
  at === undefined ? 0n : at.seconds * 1_000_000_000n + BigInt(at.nanos);
