import type { Backup, BackupPhase } from "../backup.ts";
import { present } from "../present.ts";
import type { ObjectPhase } from "./api.ts";

const phaseNames: Readonly<Record<BackupPhase, ObjectPhase>> = {
  capturing: "Capturing",
  staged: "Staged",
  packing: "Packing",
  uploading: "Uploading",
  verifying: "Verifying",
  stored: "Stored",
  failed: "Failed",
};

/** A time as Kubernetes writes it, from nanoseconds since the epoch. */
const timeOf = (nanoseconds: bigint): string =>
  new Date(Number(nanoseconds / 1_000_000n)).toISOString().replace(/\.\d{3}Z$/, "Z");

const timeOrNone = (nanoseconds: bigint | undefined): string | undefined =>
  nanoseconds === undefined ? undefined : timeOf(nanoseconds);

/** The status of a RootfsBackup for what the agent knows of the backup. */
export function statusOf(backup: Backup, node: string) {
  const { id, state, pod, progress, size, attempts, failure } = backup;
  const isStored = state === "stored";
  const changedAt = timeOf(backup.storedAt ?? backup.createdAt);
  return {
    id,
    phase: phaseNames[state],
    trigger: backup.trigger,
    consistency: backup.consistency,
    node,
    path: backup.location.slice(0, 4096),
    startTime: timeOf(backup.createdAt),
    retries: Math.max(0, attempts - 1),
    conditions: [
      {
        type: "Stored",
        status: isStored ? "True" : "False",
        reason: phaseNames[state],
        // An empty text comes out of a server-side apply as null, which the server then refuses.
        ...(failure !== undefined && failure !== "" && { message: failure.slice(0, 4096) }),
        lastTransitionTime: changedAt,
      },
    ],
    ...present({
      podUID: pod?.uid,
      parent: backup.parent,
      digest: backup.digest,
      files: backup.files,
      checksum: backup.checksum,
      bytesDone: progress?.done,
      bytesTotal: progress?.total,
      size: size === undefined ? undefined : Number(size),
      completionTime: timeOrNone(backup.storedAt),
      nextTry: timeOrNone(backup.nextAttemptAt),
      reason: failure === "" ? undefined : failure?.slice(0, 4096),
    }),
  };
}
