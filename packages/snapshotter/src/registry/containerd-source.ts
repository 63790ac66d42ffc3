import {
  containerId,
  isAeonError,
  namespace,
  type ContainerId,
  type Logger,
  type Namespace,
} from "@aeon/core";
import { nanosOf, type CallOptions, type Client, type KnownEvent } from "@aeon/containerd";
import { containers, processes, tasks } from "@aeon/proto";
import { podAnnotations } from "./pod-annotations.ts";
import type { ContainerEvent, ContainerRecord, ContainerSource, TaskRecord } from "./container-source.ts";

export interface ContainerdSourceOptions {
  /** Stays open. */
  readonly client: Client;
  /** containerd's name of this snapshotter: containers on others are left out. All count when absent. */
  readonly snapshotter?: string;
  readonly log: Logger;
}

/** What concerns containers; containerd tells many other things. */
const filters = [
  `topic=="/containers/create"`,
  `topic=="/containers/update"`,
  `topic=="/tasks/start"`,
  `topic=="/tasks/oom"`,
  `topic=="/tasks/exit"`,
  `topic=="/snapshot/remove"`,
];

const runningStates: ReadonlySet<number> = new Set([
  processes.Status.RUNNING,
  processes.Status.PAUSED,
  processes.Status.PAUSING,
]);

/** A running containerd as the registry's source. */
export function containerdSource(options: ContainerdSourceOptions): ContainerSource {
  return new ContainerdSource(options);
}

class ContainerdSource implements ContainerSource {
  readonly #client: Client;
  readonly #snapshotter: string | undefined;
  readonly #log: Logger;

  constructor({ client, snapshotter, log }: ContainerdSourceOptions) {
    this.#client = client;
    this.#snapshotter = snapshotter;
    this.#log = log;
  }

  async get(space: Namespace, id: ContainerId, signal: AbortSignal): Promise<ContainerRecord | undefined> {
    try {
      const reply = await this.#client.service(containers.Containers).get({ id }, callIn(space, signal));
      return reply.container && this.#recordOf(reply.container);
    } catch (error) {
      if (isAeonError(error, "not-found")) return undefined;
      throw error;
    }
  }

  async list(space: Namespace, signal: AbortSignal): Promise<readonly ContainerRecord[]> {
    // One message each: hundreds of records with their specs do not fit one message.
    const replies = this.#client.service(containers.Containers).listStream({}, callIn(space, signal));
    const records: ContainerRecord[] = [];
    for await (const { container } of replies)
      if (container !== undefined) records.push(this.#recordOf(container));
    return records;
  }

  async tasks(space: Namespace, signal: AbortSignal): Promise<readonly TaskRecord[]> {
    const reply = await this.#client.service(tasks.Tasks).list({}, callIn(space, signal));
    return reply.tasks.map(taskOf);
  }

  async *events(signal: AbortSignal): AsyncGenerator<ContainerEvent, void, undefined> {
    const onDisconnect = (cause: unknown): void =>
      this.#log.debug({ error: String(cause) }, "containerd events interrupted");
    for await (const event of this.#client.events({ filters, signal, onDisconnect })) {
      if (event.kind === "gap") yield { kind: "gap" };
      else if (event.kind === "event") {
        const known = this.#eventOf(event);
        if (known !== undefined) yield known;
      }
    }
  }

  #eventOf(event: KnownEvent): ContainerEvent | undefined {
    const space = namespace(event.namespace);
    if (event.topic === "/containers/create")
      return { kind: "created", namespace: space, id: containerId(event.payload.id) };
    if (event.topic === "/containers/update")
      return { kind: "updated", namespace: space, id: containerId(event.payload.id) };
    if (event.topic === "/tasks/start")
      return { kind: "started", namespace: space, id: containerId(event.payload.containerId) };
    if (event.topic === "/tasks/oom")
      return { kind: "out-of-memory", namespace: space, id: containerId(event.payload.containerId) };
    if (event.topic === "/tasks/exit") return exitOf(space, event.payload);
    if (event.topic === "/snapshot/remove" && !this.#isOther(event.payload.snapshotter))
      return { kind: "snapshot-removed", namespace: space, clientKey: event.payload.key };
    return undefined;
  }

  #recordOf(record: containers.Container): ContainerRecord {
    const { id, image, labels, extensions, snapshotter, snapshotKey } = record;
    return {
      id: containerId(id),
      image,
      labels: { ...podAnnotations(extensions), ...labels },
      snapshotKey: this.#isOther(snapshotter) ? "" : snapshotKey,
    };
  }

  /** An event of an older containerd names no snapshotter; it may be ours. */
  #isOther(snapshotter: string): boolean {
    return this.#snapshotter !== undefined && snapshotter !== "" && snapshotter !== this.#snapshotter;
  }
}

const callIn = (space: Namespace, signal: AbortSignal): CallOptions => ({
  signal,
  metadata: { namespace: space },
});

/** Processes that were exec'ed exit under the same topic with an id of their own. */
function exitOf(space: Namespace, payload: KnownEvent<"/tasks/exit">["payload"]): ContainerEvent | undefined {
  const { containerId: container, id, exitStatus: code, exitedAt } = payload;
  if (id !== container) return undefined;
  return { kind: "exited", namespace: space, id: containerId(container), code, at: nanosOf(exitedAt) };
}

function taskOf({ id, containerId: container, status, exitStatus, exitedAt }: processes.Process): TaskRecord {
  const stopped = status === processes.Status.STOPPED && exitedAt !== undefined;
  return {
    id: containerId(container || id),
    running: runningStates.has(status),
    ...(stopped && { exit: { code: exitStatus, at: nanosOf(exitedAt) } }),
  };
}
