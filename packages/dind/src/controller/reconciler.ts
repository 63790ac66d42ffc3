import type { ContainerInfo } from "@aeon/containerd";
import { errorMessage } from "@aeon/core";
import { unlessGone } from "./is-gone.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { isStopped, isUp, type Live } from "./live.ts";
import { isAlive, readMainProcess } from "./main-process.ts";
import type { Parts } from "./parts.ts";
import { ping } from "./ping.ts";
import type { MainContainer } from "./places.ts";
import type { DindRecord } from "./records.ts";
import { isolationInForce } from "./user-namespace.ts";

/** What a main container that asks for Docker gets. */
export interface Wishes {
  start(main: MainContainer): Promise<unknown>;
  arm(main: MainContainer): Promise<unknown>;
}

/** Brings what is in line with what should be. */
export class Reconciler {
  readonly #parts: Parts;
  readonly #lifecycle: Lifecycle;
  readonly #wishes: Wishes;

  constructor(parts: Parts, lifecycle: Lifecycle, wishes: Wishes) {
    this.#parts = parts;
    this.#lifecycle = lifecycle;
    this.#wishes = wishes;
  }

  async all(): Promise<void> {
    const { options, records, lives } = this.#parts;
    for (const record of records.list())
      await lives
        .inTurn(record, (live) => this.one(record, live))
        .catch((error: unknown) => {
          lives.of(record).reason = errorMessage(error);
          options.log.warn(
            { container: record.id, error: errorMessage(error) },
            "dind: reconciliation failed",
          );
        });
    for (const { name } of await options.client.namespaces.list()) {
      if (!options.isOurs(name)) continue;
      for (const info of await options.client.withNamespace(name).containers())
        void this.offer({ namespace: name, id: info.id }, info);
    }
  }

  /** In the container's turn. */
  async one(record: Pick<DindRecord, "namespace" | "id">, live: Live): Promise<void> {
    const current = this.#parts.records.get(record.namespace, record.id);
    if (current === undefined) return;
    if (current.wanted === "removing" || !isAlive(current.pid, current.startTime)) {
      await this.#lifecycle.remove(current, live);
      return;
    }
    // The stop failed, or an earlier process was killed in its middle.
    if (current.wanted === "stopped" && !isStopped(current, live))
      await this.#lifecycle.finishStop(current, live);
    if (current.wanted === "armed" && live.wakeUp === undefined) {
      if (!live.isClear) await this.#lifecycle.end(current, live, { kindly: true });
      await this.#lifecycle.arm(current, live);
    }
    if (current.wanted === "running") await this.#adopt(current, live);
  }

  /** Gives a main container what it asks for by its annotations. */
  async offer(main: MainContainer, info: ContainerInfo): Promise<void> {
    const { options, records, mains } = this.#parts;
    const wish = options.request(info);
    if (wish === undefined || records.get(main.namespace, main.id) !== undefined) return;
    try {
      if ((await mains.process(main)) === undefined) return;
      await this.#wishes[wish](main);
    } catch (error) {
      options.log.warn({ container: main.id, error: errorMessage(error) }, "dind: cannot start");
    }
  }

  /** A D that an earlier process started goes on; one that is not whole is started again. */
  async #adopt(record: DindRecord, live: Live): Promise<void> {
    const { options, mains, signal } = this.#parts;
    const client = options.client.withNamespace(record.namespace);
    const task = await unlessGone(client.container(live.places.container).task());
    const isRunning = task !== undefined && (await task.status()).state === "running";
    if (isUp(live) && isRunning && live.pid === task.pid) return;
    const process = await readMainProcess(record.pid);
    if (process === undefined) return;
    if (isRunning && (await ping(live.places.upstream)) === undefined) {
      const settings = options.settings(await mains.info(record), record.namespace);
      const isolation = isolationInForce(task.pid, process, settings.userNamespace);
      const found = { pid: task.pid, since: Date.now(), settings, isolation };
      Object.assign(live, { state: "running", reason: "", ...found });
      // Its filter may have ended meanwhile.
      await this.#lifecycle.filters.restore(record, process, settings);
      return;
    }
    await this.#lifecycle.start(record, live, signal);
  }
}
