export { backupPlugin, type BackupPluginOptions } from "./plugin.ts";
export { backupControllerPlugin } from "./kubernetes/plugin.ts";
export { policyLabels, type PolicyLabels } from "./capture/policy-labels.ts";
export { backupConfig, type BackupConfig } from "./config.ts";
export { backupService, type BackupService, type RestoreRequest } from "./backup-service.ts";
export type { Backup, BackupPhase } from "./backup.ts";
export type { Phase, PhaseChange, Progress } from "./queue/phases.ts";
export type { Restore, RestoreState } from "./records/restore-records.ts";
export type { DefaultPolicy, OnExit, OnRestart } from "./capture/policy.ts";
export {
  keyLabel,
  containersLabel,
  enabledLabel,
  excludeContainersLabel,
  onExitLabel,
  onRestartLabel,
  scheduleLabel,
} from "./capture/labels.ts";
export type { CaptureCall, CaptureProgress, CaptureRequest } from "./capture/live-capturer.ts";
export type { DrainCall, DrainedContainer, DrainSummary } from "./capture/drain.ts";
export type { Consistency, Trigger } from "./capture/trigger.ts";
export { startGuard, type StartGuardOptions } from "./restore/start-guard.ts";
export { errors } from "./errors.ts";
export { parseBackupId } from "./store/backup-id.ts";
export { posixObjects, type PosixObjectsOptions } from "./objects/posix/posix-objects.ts";
export type {
  LocalFile,
  ObjectFacts,
  ObjectStore,
  Pace,
  StoreAbilities,
  UploadOptions,
} from "./objects/object-store.ts";
export { backupStore, type BackupStoreOptions } from "./store/object-backup-store.ts";
export type { BackupStore, Pin, StoredBackup, SweepReport, Verification } from "./store/backup-store.ts";
export type { ListFilter } from "./store/list-refs.ts";
export { chainOf } from "./store/chain-of.ts";
export type { ChainKey } from "./store/chain.ts";
export type { BackupRef } from "./store/backup-ref.ts";
export type { Head } from "./store/head.ts";
export type { BackupDocument, BackupIdentity, StoredLayer } from "./store/backup-document.ts";
export {
  packFile,
  unpackFile,
  type LayerBlob,
  type PackRequest,
  type PackResult,
  type UnpackRequest,
  type VerifiableLayer,
} from "./archive/layer-file.ts";
export {
  layerFiles,
  layerMediaTypes,
  type BlobDescriptor,
  type LayerFiles,
} from "./archive/blob-descriptor.ts";
export { parseKeyFile, type EncryptionKey, type LayerCipher } from "./archive/encryption-key.ts";
export { layerFormats, type FrameFormat, type LayerFormats } from "./archive/frame-format.ts";
export { FrameIndex, type Frame } from "./archive/frame-index.ts";
export { readContent, type LayerSource } from "./archive/read-content.ts";
export { readToc } from "./archive/toc-reader.ts";
export type { TocData, TocEntry } from "./archive/toc-entry.ts";
export type { TarEntryType } from "./archive/tar-entry.ts";
export type { OverlayNamespace } from "./archive/overlay-xattrs.ts";
export type { Deviation, PackReport } from "./archive/report.ts";
export { defaultWorkerCommand, type WorkerCommand } from "./worker/archive-worker.ts";
export { runWorker } from "./worker/run-worker.ts";
