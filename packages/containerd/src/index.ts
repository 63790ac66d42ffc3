export { containerdClient } from "./capability.ts";
export { Client, connect, open as openClient, type ConnectOptions } from "./client.ts";
export { Container, type ContainerInfo, type TaskOptions } from "./container.ts";
export {
  ContentStore,
  type ContentInfo,
  type IngestRequest,
  type IngestStatus,
  type ReadRange,
} from "./content/content-store.ts";
export { ContentWriter, type CommitOptions, type WriterOptions } from "./content/content-writer.ts";
export type { CreateContainerOptions } from "./create-container.ts";
export { Differ, type DiffOptions } from "./diff.ts";
export { errors } from "./errors.ts";
export { subscribe, type ContainerdEvent, type EventGap, type SubscribeOptions } from "./events/subscribe.ts";
export type { EventTopic, KnownEvent, OtherEvent } from "./events/topics.ts";
export * from "./grpc/index.ts";
export { Image, Images, type ResolvedImage } from "./image/image.ts";
export type { ImportOptions } from "./image/import-image.ts";
export { fullImageName } from "./image/reference.ts";
export type { PluginInfo, ServerInfo, ServerVersion } from "./introspection.ts";
export { Leases, type LeaseInfo, type LeaseResource, type NewLease } from "./leases.ts";
export { Namespaces, type NamespaceInfo } from "./namespaces.ts";
export {
  ContainerProcess,
  type ExitStatus,
  type ProcessState,
  type ProcessStatus,
} from "./process/process.ts";
export type { StdioOptions } from "./process/stdio.ts";
export { Task, type ExecOptions, type TaskProcess } from "./process/task.ts";
export type { RuncOptions } from "./runtime-any.ts";
export type { SandboxInfo } from "./sandboxes.ts";
export { mountMessage, mountOf, SnapshotClient, snapshotInfoMessage, snapshotInfoOf } from "./snapshots.ts";
export { nanosOf, timestampOf } from "./values.ts";
