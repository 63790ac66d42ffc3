import type { ListedBackup } from "@aeon/rootfs-backup/inspect";
import type { BackupView } from "./backup.ts";
import { nanosecondTime } from "./timestamp.ts";

/** A backup as its store knows it, in the form in which the agent's are shown. */
export function storedBackupView({ ref, isHead, pin }: ListedBackup, store: string): BackupView {
  const { identity, chain } = ref;
  const { exit } = identity;
  return {
    id: ref.id,
    state: "stored",
    failure: null,
    attempts: 1,
    nextAttemptAt: null,
    progress: null,
    namespace: identity.namespace,
    containerId: identity.containerId,
    image: identity.image ?? null,
    pod: identity.pod ?? null,
    snapshotKey: identity.snapshotKey,
    exit: exit === undefined ? null : { code: exit.code, at: nanosecondTime(BigInt(exit.at)) },
    outOfMemory: identity.outOfMemory ?? false,
    trigger: ref.trigger,
    consistency: ref.consistency,
    tenant: chain.tenant,
    workload: chain.workload,
    container: chain.container,
    parent: ref.parent ?? null,
    size: ref.size,
    totalSize: ref.blobs.reduce((sum, { size }) => sum + size, 0),
    digest: ref.manifest.digest,
    location: store,
    labels: identity.labels,
    createdAt: nanosecondTime(BigInt(ref.createdAt)),
    storedAt: null,
    node: ref.node,
    seq: ref.seq,
    head: isHead,
    pinned: pin?.reason ?? null,
  };
}
