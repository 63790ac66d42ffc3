export {
  exportImage,
  type ExportedImage,
  type ExportProgress,
  type ExportRequest,
} from "./export/export-image.ts";
export { containerdBase, type ContainerdBaseOptions } from "./export/containerd-base.ts";
export { layoutBase } from "./export/layout-base.ts";
export type { BaseImage, ImageBlob, ImageLayer } from "./export/image-layer.ts";
export type { BaseReference } from "./export/find-base.ts";
export type { ExportCompression, ExportSource } from "./export/own-layers.ts";
export { ChainTree } from "./tree/chain-tree.ts";
export { diffTrees, type Difference, type TreeChange } from "./tree/diff-trees.ts";
export type { TreeEntry } from "./tree/merge-layers.ts";
export { layerPath } from "./tree/tree-path.ts";
export { verifyLayer, type VerifyOptions } from "./verify/verify-layer.ts";
export { streamBlob, type BlobFacts, type ByteRange, type ReadBlob } from "./read-blob.ts";
export { baseOf, exportSources } from "./export/export-sources.ts";
export { blobsOf, findBackup, parentOf } from "./find-backup.ts";
export {
  listBackup,
  listBackups,
  type BackupList,
  type DamagedName,
  type ListedBackup,
} from "./list-backups.ts";
export { verifyBackups, type BackupCheck, type Fault, type VerifyReport } from "./verify/verify-backups.ts";
export { withContainerdBase, type ContainerdSearch } from "./export/with-containerd-base.ts";
export { parseBackupId } from "../store/backup-id.ts";
export { openStore, type OpenedStore, type StoreAddress } from "./open-store.ts";
export { fullImageName } from "@aeon/containerd";
export type { DoomedObject } from "../store/doomed.ts";
export type { Expired } from "../store/apply-retention.ts";
export type { RetentionCause, RetentionRules } from "../store/retention.ts";
export { dependentsOf } from "./dependents.ts";
