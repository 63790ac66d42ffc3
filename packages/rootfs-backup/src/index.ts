export { backupPlugin, type BackupPluginOptions } from "./plugin.ts";
export { backupConfig, type BackupConfig } from "./config.ts";
export { backupService, type BackupService, type RestoreRequest } from "./backup-service.ts";
export type { Backup, BackupPhase } from "./backup.ts";
export type { Restore, RestoreState } from "./records/restore-records.ts";
export { enabledLabel, type DefaultPolicy } from "./capture/policy.ts";
export { errors } from "./errors.ts";
export { parseBackupId } from "./store/backup-id.ts";
export { posixStore } from "./store/posix-store.ts";
export type { BackupStore, StoredBackup } from "./store/backup-store.ts";
export type { BackupDocument, BackupIdentity, StoredLayer } from "./store/backup-document.ts";
export {
  packFile,
  unpackFile,
  type LayerBlob,
  type PackRequest,
  type PackResult,
  type UnpackRequest,
} from "./archive/layer-file.ts";
export type { OverlayNamespace } from "./archive/overlay-xattrs.ts";
export type { Deviation, PackReport } from "./archive/report.ts";
export { defaultWorkerCommand, type WorkerCommand } from "./worker/archive-worker.ts";
export { runWorker } from "./worker/run-worker.ts";
