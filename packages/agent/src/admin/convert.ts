import type { ContainerEntry, PodIdentity, SnapshotInfo } from "@aeon/core";
import { admin } from "@aeon/proto";
import { chainOf, type Backup, type BackupPhase, type Restore, type RestoreState } from "@aeon/rootfs-backup";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromNanoseconds } from "./timestamp.ts";
import type { PluginStatus } from "./deps.ts";

const { BackupState, ContainerState, PluginState, SnapshotKind } = admin;

const pluginStates = {
  starting: PluginState.STARTING,
  ready: PluginState.READY,
  failed: PluginState.FAILED,
  stopped: PluginState.STOPPED,
} as const satisfies Record<PluginStatus["state"], admin.PluginState>;

const snapshotKinds = {
  view: SnapshotKind.VIEW,
  active: SnapshotKind.ACTIVE,
  committed: SnapshotKind.COMMITTED,
} as const satisfies Record<SnapshotInfo["kind"], admin.SnapshotKind>;

const containerStates = {
  preparing: ContainerState.PREPARING,
  restoring: ContainerState.RESTORING,
  ready: ContainerState.READY,
  "backing-up": ContainerState.BACKING_UP,
  "backed-up": ContainerState.BACKED_UP,
  failed: ContainerState.FAILED,
} as const satisfies Record<ContainerEntry["state"], admin.ContainerState>;

const backupStates = {
  capturing: BackupState.CAPTURING,
  staged: BackupState.STAGED,
  packing: BackupState.PACKING,
  uploading: BackupState.UPLOADING,
  verifying: BackupState.VERIFYING,
  stored: BackupState.STORED,
  failed: BackupState.FAILED,
} as const satisfies Record<BackupPhase, admin.BackupState>;

const restoreStates = {
  pending: admin.RestoreState.PENDING,
  done: admin.RestoreState.DONE,
  failed: admin.RestoreState.FAILED,
} as const satisfies Record<RestoreState, admin.RestoreState>;

/** The wire's value of a container's state. */
export const containerState = (state: ContainerEntry["state"]): admin.ContainerState =>
  containerStates[state];

export const pluginMessage = (plugin: PluginStatus): MessageInitShape<typeof admin.PluginSchema> => ({
  name: plugin.name,
  state: pluginStates[plugin.state],
  failure: plugin.failure ?? "",
  restarts: plugin.restarts,
  checks: plugin.checks.map(({ name, health }) => ({
    name,
    ok: health.ok,
    reason: health.ok ? "" : health.reason,
  })),
});

export const snapshotMessage = (info: SnapshotInfo): MessageInitShape<typeof admin.SnapshotSchema> => ({
  name: info.name,
  parent: info.parent ?? "",
  kind: snapshotKinds[info.kind],
  createdAt: timestampFromNanoseconds(info.createdAt),
  updatedAt: timestampFromNanoseconds(info.updatedAt),
  labels: { ...info.labels },
});

const exitMessage = (exit: NonNullable<Backup["exit"]>): MessageInitShape<typeof admin.ExitSchema> => ({
  code: exit.code,
  at: timestampFromNanoseconds(exit.at),
});

const podMessage = (pod: PodIdentity): MessageInitShape<typeof admin.PodSchema> => ({ ...pod });

export const containerMessage = (entry: ContainerEntry): MessageInitShape<typeof admin.ContainerSchema> => ({
  namespace: entry.namespace,
  containerId: entry.containerId ?? "",
  snapshotKey: entry.snapshotKey,
  image: entry.image ?? "",
  state: containerStates[entry.state],
  failure: entry.failure ?? "",
  ...(entry.pod && { pod: podMessage(entry.pod) }),
  sandbox: entry.sandbox,
  upperdir: entry.upperdir ?? "",
  ...(entry.exit && { exit: exitMessage(entry.exit) }),
  outOfMemory: entry.outOfMemory ?? false,
  labels: { ...entry.labels },
  createdAt: timestampFromNanoseconds(entry.createdAt),
  updatedAt: timestampFromNanoseconds(entry.updatedAt),
});

const triggers: Readonly<Record<Backup["trigger"], admin.BackupTrigger>> = {
  removed: admin.BackupTrigger.REMOVED,
  exited: admin.BackupTrigger.EXITED,
  oom: admin.BackupTrigger.OOM,
  evicted: admin.BackupTrigger.EVICTED,
  restart: admin.BackupTrigger.RESTART,
  scheduled: admin.BackupTrigger.SCHEDULED,
  drain: admin.BackupTrigger.DRAIN,
  manual: admin.BackupTrigger.MANUAL,
};

const consistencies: Readonly<Record<Backup["consistency"], admin.BackupConsistency>> = {
  exact: admin.BackupConsistency.EXACT,
  frozen: admin.BackupConsistency.FROZEN,
  live: admin.BackupConsistency.LIVE,
};

export const backupMessage = (backup: Backup): MessageInitShape<typeof admin.BackupSchema> => ({
  id: backup.id,
  state: backupStates[backup.state],
  namespace: backup.namespace,
  containerId: backup.containerId,
  snapshotKey: backup.snapshotKey,
  image: backup.image ?? "",
  ...(backup.pod && { pod: podMessage(backup.pod) }),
  createdAt: timestampFromNanoseconds(backup.createdAt),
  ...(backup.storedAt !== undefined && { storedAt: timestampFromNanoseconds(backup.storedAt) }),
  size: backup.size ?? 0n,
  digest: backup.digest ?? "",
  location: backup.location,
  failure: backup.failure ?? "",
  attempts: backup.attempts,
  labels: { ...backup.labels },
  ...(backup.exit && { exit: exitMessage(backup.exit) }),
  ...(backup.progress && {
    progress: { done: BigInt(backup.progress.done), total: BigInt(backup.progress.total ?? 0) },
  }),
  ...(backup.nextAttemptAt !== undefined && {
    nextAttemptAt: timestampFromNanoseconds(backup.nextAttemptAt),
  }),
  parent: backup.parent ?? "",
  trigger: triggers[backup.trigger],
  consistency: consistencies[backup.consistency],
  outOfMemory: backup.outOfMemory,
  ...chainOf(backup),
});

export const restoreMessage = (restore: Restore): MessageInitShape<typeof admin.RestoreSchema> => ({
  backupId: restore.backupId,
  namespace: restore.namespace,
  containerId: restore.containerId,
  state: restoreStates[restore.state],
  requestedAt: timestampFromNanoseconds(restore.requestedAt),
  ...(restore.finishedAt !== undefined && { finishedAt: timestampFromNanoseconds(restore.finishedAt) }),
  failure: restore.failure ?? "",
});
