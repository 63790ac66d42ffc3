import { containerId, type ContainerId, type Labels, type Namespace } from "@aeon/core";
import type {
  ContainerEvent,
  ContainerRecord,
  ContainerSource,
  TaskRecord,
} from "../../src/registry/container-source.ts";

/** A containerd that holds what a test puts in, and tells the events that the test emits. */
export class ScriptedSource implements ContainerSource {
  readonly #records = new Map<string, ContainerRecord>();
  readonly #tasks = new Map<string, TaskRecord>();
  readonly #events: ContainerEvent[] = [];
  #wake = Promise.withResolvers<void>();
  /** Thrown by every call while set, or awaited when it is a promise. */
  trouble: Error | Promise<never> | undefined;
  gets = 0;
  lists = 0;

  put(space: Namespace, id: string, labels: Labels = {}, snapshotKey = id): ContainerId {
    const record = { id: containerId(id), image: "docker.io/library/busybox:latest", labels, snapshotKey };
    this.#records.set(`${space}/${id}`, record);
    return record.id;
  }

  drop(space: Namespace, id: string): void {
    this.#records.delete(`${space}/${id}`);
  }

  putTask(space: Namespace, task: TaskRecord): void {
    this.#tasks.set(`${space}/${task.id}`, task);
  }

  emit(...events: ContainerEvent[]): void {
    this.#events.push(...events);
    this.#wake.resolve();
  }

  async get(space: Namespace, id: ContainerId): Promise<ContainerRecord | undefined> {
    this.gets += 1;
    await this.#answer();
    return this.#records.get(`${space}/${id}`);
  }

  async list(space: Namespace): Promise<readonly ContainerRecord[]> {
    this.lists += 1;
    await this.#answer();
    return [...this.#records].filter(([name]) => name.startsWith(`${space}/`)).map(([, record]) => record);
  }

  async tasks(space: Namespace): Promise<readonly TaskRecord[]> {
    await this.#answer();
    return [...this.#tasks].filter(([name]) => name.startsWith(`${space}/`)).map(([, task]) => task);
  }

  async *events(signal: AbortSignal): AsyncGenerator<ContainerEvent, void, undefined> {
    signal.addEventListener("abort", () => this.#wake.resolve(), { once: true });
    while (!signal.aborted) {
      const event = this.#events.shift();
      if (event !== undefined) yield event;
      else {
        this.#wake = Promise.withResolvers();
        if (!signal.aborted) await this.#wake.promise;
      }
    }
  }

  async #answer(): Promise<void> {
    if (this.trouble instanceof Error) throw this.trouble;
    if (this.trouble !== undefined) await this.trouble;
  }
}
