import type { Client, ContainerInfo } from "@aeon/containerd";
import { errors } from "../errors.ts";
import { isGone } from "./is-gone.ts";
import { readMainProcess, type MainProcess } from "./main-process.ts";
import type { MainContainer } from "./places.ts";

/** What containerd knows of main containers. */
export class MainContainers {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  info({ namespace, id }: MainContainer): Promise<ContainerInfo> {
    return this.#client.withNamespace(namespace).container(id).info();
  }

  /** Its first process; undefined when it does not run. */
  async process({ namespace, id }: MainContainer): Promise<MainProcess | undefined> {
    const container = this.#client.withNamespace(namespace).container(id);
    try {
      const task = await container.task();
      const { state } = await task.status();
      return state === "running" ? await readMainProcess(task.pid) : undefined;
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** Throws `DIND_MAIN_NOT_RUNNING`. */
  async runningProcess(main: MainContainer): Promise<MainProcess> {
    const process = await this.process(main);
    if (process === undefined)
      throw errors.DIND_MAIN_NOT_RUNNING(`container ${main.id} in namespace ${main.namespace} does not run`, {
        details: { namespace: main.namespace, id: main.id },
      });
    return process;
  }
}
