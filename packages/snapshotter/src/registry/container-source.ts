import type { ContainerId, Labels, Namespace } from "@aeon/core";

/** What the registry reads of a container's record in containerd. */
export interface ContainerRecord {
  readonly id: ContainerId;
  readonly image: string;
  /** With a pod's annotations for aeon where the record is its sandbox's; labels win. */
  readonly labels: Labels;
  /** Client key of its snapshot; empty when it has none. */
  readonly snapshotKey: string;
}

/** What the registry reads of a container's task. */
export interface TaskRecord {
  readonly id: ContainerId;
  readonly running: boolean;
  /** Set once the task has exited. */
  readonly exit?: { readonly code: number; readonly at: bigint };
}

/** One change that containerd tells of, or `gap`: changes may have been missed before it. */
export type ContainerEvent =
  | { readonly kind: "gap" }
  | { readonly kind: "created" | "updated"; readonly namespace: Namespace; readonly id: ContainerId }
  | { readonly kind: "started" | "out-of-memory"; readonly namespace: Namespace; readonly id: ContainerId }
  | {
      readonly kind: "exited";
      readonly namespace: Namespace;
      readonly id: ContainerId;
      readonly code: number;
      /** Nanoseconds since the epoch. */
      readonly at: bigint;
    }
  | { readonly kind: "snapshot-removed"; readonly namespace: Namespace; readonly clientKey: string };

/** Where the registry learns of containers. Every method may reject while containerd is away. */
export interface ContainerSource {
  /** Undefined when there is no such container. */
  get(namespace: Namespace, id: ContainerId, signal: AbortSignal): Promise<ContainerRecord | undefined>;
  list(namespace: Namespace, signal: AbortSignal): Promise<readonly ContainerRecord[]>;
  tasks(namespace: Namespace, signal: AbortSignal): Promise<readonly TaskRecord[]>;
  /** Ends only with the signal; starts with a `gap` and gives one after each reconnection. */
  events(signal: AbortSignal): AsyncIterable<ContainerEvent>;
}
