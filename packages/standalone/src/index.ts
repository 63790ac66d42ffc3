export { cacheFolder } from "./cache-folder.ts";
export {
  findContainerd,
  onPath,
  type ContainerdBinaries,
  type ContainerdLine,
  type FindOptions,
} from "./containerd-binaries.ts";
export {
  containerdPaths,
  type CriHandler,
  type CriSettings,
  type ProxySnapshotter,
} from "./containerd-config.ts";
export { releaseOf, startContainerd, type ContainerdOptions, type PrivateContainerd } from "./containerd.ts";
export { Daemon, type DaemonOptions } from "./daemon.ts";
export { fetchPackages, type FetchOptions, type UnpackedPackage } from "./debian-packages.ts";
export { fetchSource, type SourceOptions, type SourcePackage } from "./debian-source.ts";
export { fetchPackageTree, type TreeOptions } from "./debian-tree.ts";
export { errors } from "./errors.ts";
export { tryLock, withFileLock } from "./file-lock.ts";
export { cleanFolder, processesOf } from "./leftovers.ts";
export { mountsBelow, parseMountPoints, unmountBelow } from "./mounts.ts";
export { hasFlag, listProcesses, signalProcess, waitUntilGone, type ProcessInfo } from "./processes.ts";
export { untilReady } from "./ready.ts";
export { run, type RunOptions, type RunResult } from "./run.ts";
export { buildBusyboxImage, busyboxName, type BuiltImage, type BusyboxOptions } from "./busybox-image.ts";
export { startStandalone, type Progress, type Standalone, type StandaloneOptions } from "./standalone.ts";
export { bundlePrograms, type WorkspacePrograms } from "./workspace-programs.ts";
