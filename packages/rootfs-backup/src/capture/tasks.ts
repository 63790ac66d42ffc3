import type { Client, ProcessState, Task } from "@aeon/containerd";
import { isAeonError, type ContainerId, type Namespace } from "@aeon/core";

/** The running sides of containers: what they do now, and how to make them stand still. */
export interface Tasks {
  /** Undefined when the container has no task. */
  state(namespace: Namespace, id: ContainerId, signal: AbortSignal): Promise<ProcessState | undefined>;
  /** Makes every process of the container stand still; resolves when they do. */
  pause(namespace: Namespace, id: ContainerId, signal: AbortSignal): Promise<void>;
  resume(namespace: Namespace, id: ContainerId, signal: AbortSignal): Promise<void>;
}

/** Tasks of a containerd, which uses the cgroup freezer of whichever version the host has. */
export function containerdTasks(client: Client): Tasks {
  const taskOf = (namespace: Namespace, id: ContainerId, signal: AbortSignal): Promise<Task> =>
    client.withNamespace(namespace).container(id).task({ signal });
  return {
    async state(namespace, id, signal) {
      try {
        return (await (await taskOf(namespace, id, signal)).status({ signal })).state;
      } catch (error) {
        if (isAeonError(error, "not-found")) return undefined;
        throw error;
      }
    },
    pause: async (namespace, id, signal) => (await taskOf(namespace, id, signal)).pause({ signal }),
    resume: async (namespace, id, signal) => (await taskOf(namespace, id, signal)).resume({ signal }),
  };
}

/** True while processes of a container in this state may change its files, now or later. */
export const mayWrite = (state: ProcessState | undefined): boolean =>
  state !== undefined && state !== "stopped";
