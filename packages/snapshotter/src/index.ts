export { errors } from "./errors.ts";
export { openOverlaySnapshotter, type OverlaySnapshotterOptions } from "./overlay/open.ts";
export { serveSnapshotter, type ServeSnapshotterOptions } from "./server/serve.ts";
export { openAuditLog, type AuditLine, type AuditLog, type AuditLogOptions } from "./hooks/audit-log.ts";
export { operationMetrics } from "./hooks/operation-metrics.ts";
export { ownSnapshots } from "./hooks/own-snapshots.ts";
export { createHookPipeline, type HookPipeline, type HookPipelineOptions } from "./hooks/pipeline.ts";
export type { HookStatus } from "./hooks/registered-hooks.ts";
export {
  backendOf,
  snapshotterConfig,
  snapshotterPlugin,
  snapshotterRuntime,
  type SnapshotterConfig,
} from "./plugin.ts";
export {
  openContainerRegistry,
  type ContainerRegistryOptions,
  type OpenContainerRegistry,
} from "./registry/container-registry.ts";
export type {
  ContainerEvent,
  ContainerRecord,
  ContainerSource,
  TaskRecord,
} from "./registry/container-source.ts";
export { containerdSource, type ContainerdSourceOptions } from "./registry/containerd-source.ts";
export { openRemoteSnapshotter, type RemoteSnapshotterOptions } from "./remote/remote-snapshotter.ts";
export {
  openSnapshotterRuntime,
  type BackendOptions,
  type SnapshotterRuntime,
  type SnapshotterRuntimeOptions,
} from "./runtime.ts";
