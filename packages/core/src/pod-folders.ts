import type { ContainerId, Namespace } from "./brand.ts";
import type { CallerPod } from "./container-services.ts";
import { capability, type Capability } from "./capability.ts";
import type { Labels } from "./snapshotter.ts";

/** Where a container finds its pod's folder. The service's socket in it is `container-service.sock`. */
export const podFolderPath = "/run/aeon/container";
/** Where a container finds `aeonctl` and `dockerctl`; the programs only run there. */
export const podToolsPath = "/run/aeon/bin";
/** On a pod or a container: "true" or "false" decides whether it gets the folder and the tools. */
export const podFolderAnnotation = "aeon.io/container-service";

/** A container that is about to be created, as NRI or a runtime launcher knows it. */
export interface PodFolderSubject {
  readonly namespace: Namespace;
  readonly containerId: ContainerId;
  readonly pod?: CallerPod;
  /** Those of the container win over those of its pod. */
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly sandbox: boolean;
}

/** A bind mount in the words of the OCI runtime spec. */
export interface PodFolderMount {
  readonly type: "bind";
  /** Absolute, on the host. */
  readonly source: string;
  readonly destination: string;
  readonly options: readonly string[];
}

/** What a container gets that has opted in. */
export interface PodFolderAttachment {
  readonly mounts: readonly PodFolderMount[];
  /** To be appended to the container's PATH, where it has one. */
  readonly pathEntry: string;
}

/** Folders of the host that appear in containers, one per pod, or per container without a pod. */
export interface PodFolders {
  /** True when this container opted in; from memory, at once. */
  wants(subject: PodFolderSubject): boolean;
  /**
   * Makes the folder with its socket, unless it is there, and tells what to mount; undefined when the container has
   * not opted in. Quick enough for a runtime to wait for: a few file operations, and once per version of aeon at most 1.5 s. The folder goes with the last
   * container of its pod, and after a minute when no container came.
   */
  attach(subject: PodFolderSubject, signal: AbortSignal): Promise<PodFolderAttachment | undefined>;
}

/** Provided by the plugin `container-service`; find it anew for each container, because plugins come and go. */
export const podFolders: Capability<PodFolders> = capability("pod-folders");
