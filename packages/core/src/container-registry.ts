import type { ContainerId, Namespace, SnapshotKey } from "./brand.ts";
import { capability, type Capability } from "./capability.ts";
import type { Labels } from "./snapshotter.ts";

/**
 * Where a container stands between its snapshot's Prepare and the end of its backup:
 * preparing → (restoring →) ready → backing-up → backed-up, or failed.
 */
export type ContainerState = "preparing" | "restoring" | "ready" | "backing-up" | "backed-up" | "failed";

export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** The container's name in the pod's spec. */
  readonly container: string;
}

/** What aeon knows of one container and its writable layer; outlives the container's record in containerd. */
export interface ContainerEntry {
  /** The key of the snapshot at the backend; unique among entries. */
  readonly snapshotKey: SnapshotKey;
  readonly namespace: Namespace;
  /** Known once containerd has a record for the container (not yet at Prepare). */
  readonly containerId?: ContainerId;
  /** Absolute path of the writable layer, known from the mounts. */
  readonly upperdir?: string;
  readonly image?: string;
  readonly labels: Labels;
  readonly pod?: PodIdentity;
  readonly sandbox: boolean;
  readonly state: ContainerState;
  /** Exit code and time of the container's task, once it has exited. */
  readonly exit?: { readonly code: number; readonly at: bigint };
  /** True once the kernel killed a process of the container for want of memory. */
  readonly outOfMemory?: boolean;
  /** Why the state is `failed`. */
  readonly failure?: string;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

/** What a container runtime tells of a pod's container that it is about to make, or has. */
export interface AnnouncedContainer {
  readonly namespace: Namespace;
  readonly id: ContainerId;
  readonly labels: Labels;
  readonly pod: PodIdentity;
}

/** Durable, safe under concurrency: each change is one transaction. */
export interface ContainerRegistry {
  bySnapshot(key: SnapshotKey): ContainerEntry | undefined;
  byContainer(namespace: Namespace, id: ContainerId): ContainerEntry | undefined;
  list(): readonly ContainerEntry[];
  /** The containers of a pod, its sandbox among them. */
  ofPod(uid: string): readonly ContainerEntry[];
  /** Moves an entry to another state. Resolves when durable; rejects with not-found, or failed-precondition for a move that makes no sense. */
  transition(key: SnapshotKey, state: ContainerState, failure?: string): Promise<ContainerEntry>;
  /**
   * Takes what a runtime tells of a container while containerd has no record of it yet. Never waits; does nothing for
   * a container whose snapshot is not known.
   */
  announce(container: AnnouncedContainer): void;
  /** Looks the container up at containerd now, so that identity is known before a decision is made. */
  learn(key: SnapshotKey, signal: AbortSignal): Promise<ContainerEntry | undefined>;
  /**
   * Tells of each container whose task has ended, also when that is found out later, and once more when it turns out
   * that it ended for want of memory. Ends that were known before are in {@link list}.
   */
  onExit(listener: (entry: ContainerEntry) => void): Disposable;
}

/** Provided by the snapshotter; required by whoever acts on containers. */
export const containerRegistry: Capability<ContainerRegistry> = capability("container-registry");

/** The namespaces whose containers aeon looks after; provided by the agent unless it is all of them. */
export const watchedNamespaces: Capability<readonly Namespace[]> = capability("watched-namespaces");
