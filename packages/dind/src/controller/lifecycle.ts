import { mkdir } from "node:fs/promises";
import { errorMessage } from "@aeon/core";
import { errors } from "../errors.ts";
import { prepareNamespaces } from "../system/namespace-thread.ts";
import { FilterKeeper } from "./filter-keeper.ts";
import type { Live } from "./live.ts";
import { forwardingOf, linksOf } from "./main-network.ts";
import { isAlive, type MainProcess } from "./main-process.ts";
import { requireRecord, type Parts } from "./parts.ts";
import type { MainContainer } from "./places.ts";
import type { DindRecord } from "./records.ts";
import { endDind, removeFiles } from "./remove-dind.ts";
import { startDind } from "./start-dind.ts";
import { isolationOf } from "./user-namespace.ts";
import { WakeUp } from "./wake-up.ts";

/** Brings DinD containers from one state to another. Every call has to have its turn in the container's queue. */
export class Lifecycle {
  readonly filters: FilterKeeper;
  readonly #parts: Parts;
  /** Starts a container in a turn of its own, for a first client. */
  readonly #wake: (main: MainContainer) => void;

  constructor(parts: Parts, wake: (main: MainContainer) => void) {
    this.#parts = parts;
    this.#wake = wake;
    this.filters = new FilterKeeper(parts);
  }

  async start(main: MainContainer, live: Live, signal: AbortSignal): Promise<void> {
    const { options, records, mains } = this.#parts;
    const both = AbortSignal.any([signal, this.#parts.signal]);
    live.state = "starting";
    live.reason = "";
    prepareNamespaces();
    try {
      const [process, info] = await Promise.all([mains.runningProcess(main), mains.info(main)]);
      const { record, isNew } = await this.#claim(main, process, "running");
      if (!isNew && !live.isClear) await this.end(record, live, { kindly: false });
      live.isClear = false;
      const settings = options.settings(info, main.namespace);
      const isolation = isolationOf(process, settings.userNamespace);
      if (isolation.kind === "reduced-privileges" && settings.userNamespace === "always")
        throw errors.DIND_USER_NAMESPACE_UNAVAILABLE(`container ${main.id}: ${isolation.reason}`, {
          details: { namespace: main.namespace, id: main.id },
        });
      await mkdir(live.places.run, { recursive: true, mode: 0o700 });
      const filter = this.filters.ensure(main, process, settings);
      // Awaited later; a failure before must not be an unhandled one.
      filter.catch(() => {});
      const task = await startDind({
        client: options.client.withNamespace(main.namespace),
        main,
        process,
        mainSpec: info.spec,
        places: live.places,
        settings,
        isolation,
        snapshotter: options.snapshotter,
        imageArchive: options.imageArchive,
        env: options.env ?? [],
        filter,
        signal: both,
      });
      live.state = "running";
      live.pid = task.pid;
      live.since = Date.now();
      live.settings = settings;
      live.isolation = isolation;
      live.idleSince = undefined;
      live.wakeUp?.handOver();
      live.wakeUp = undefined;
      options.log.info({ container: main.id, namespace: main.namespace, pid: task.pid }, "dind started");
    } catch (error) {
      live.state = "stopped";
      live.reason = errorMessage(error);
      const record = records.get(main.namespace, main.id);
      if (record !== undefined && !isAlive(record.pid, record.startTime)) await this.remove(record, live);
      else if (record !== undefined) await this.end(record, live, { kindly: false }).catch(() => {});
      throw error;
    }
  }

  /** Ends it; images, volumes and what the filter knows of pins stay. */
  async stop(main: MainContainer, live: Live): Promise<void> {
    const record = requireRecord(this.#parts, main);
    await this.finishStop(await this.#parts.records.put({ ...record, wanted: "stopped" }), live);
  }

  /** What a stop does once it is written down; any part of it may have been done before. */
  async finishStop(record: DindRecord, live: Live): Promise<void> {
    await this.end(record, live, { kindly: true });
    await this.#sleep(live);
    await this.filters.stop(record);
    live.state = "stopped";
    live.reason = "";
  }

  /** Makes the socket; the first client starts the rest. */
  async arm(main: MainContainer, live: Live): Promise<void> {
    const { options, mains } = this.#parts;
    const [process, info] = await Promise.all([mains.runningProcess(main), mains.info(main)]);
    await this.#claim(main, process, "armed");
    await mkdir(live.places.run, { recursive: true, mode: 0o700 });
    await this.#listen(main, live);
    await (
      await this.filters.ensure(main, process, options.settings(info, main.namespace))
    ).ready;
    live.state = "armed";
  }

  /** Ends D, whose next client starts it again. */
  async rest(main: MainContainer, live: Live): Promise<void> {
    const record = requireRecord(this.#parts, main);
    await this.#parts.records.put({ ...record, wanted: "armed" });
    await this.end(record, live, { kindly: true });
    await this.#listen(main, live);
    live.idleSince = undefined;
    live.state = "armed";
  }

  async end(record: DindRecord, live: Live, how: { readonly kindly: boolean }): Promise<void> {
    live.pid = undefined;
    await endDind(this.#parts.options.client.withNamespace(record.namespace), live.places, record, how);
    live.isClear = true;
  }

  /** Takes everything away; what fails is tried again at the next reconciliation, for the record stays. */
  async remove(record: DindRecord, live: Live): Promise<void> {
    const { records, lives } = this.#parts;
    live.state = "removing";
    await records.put({ ...record, wanted: "removing" });
    await this.#sleep(live);
    this.filters.release(live);
    await this.end(record, live, { kindly: false });
    await this.filters.stop(record);
    await removeFiles(live.places);
    await records.delete(record);
    live.state = "stopped";
    live.restarts = 0;
    lives.forget(record);
  }

  async #listen(main: MainContainer, live: Live): Promise<void> {
    live.wakeUp = await WakeUp.listen(live.places.upstream, () => this.#wake(main));
  }

  async #sleep(live: Live): Promise<void> {
    await live.wakeUp?.[Symbol.asyncDispose]();
    live.wakeUp = undefined;
  }

  /** The durable first step: from now on everything below these names is ours to remove. */
  async #claim(
    main: MainContainer,
    process: MainProcess,
    wanted: "armed" | "running",
  ): Promise<{ readonly record: DindRecord; readonly isNew: boolean }> {
    const { records, lives, options } = this.#parts;
    const known = records.get(main.namespace, main.id);
    if (known !== undefined && known.pid === process.pid && known.startTime === process.startTime)
      return { record: await records.put({ ...known, wanted }), isNew: false };
    if (known !== undefined) await this.remove(known, lives.of(main));
    const [links, forward] = await Promise.all([linksOf(process.pid), forwardingOf(process.pid)]);
    const record = await records.put({
      namespace: main.namespace,
      id: main.id,
      wanted,
      pid: process.pid,
      startTime: process.startTime,
      sockets: [],
      links,
      forward,
      snapshotter: options.snapshotter,
      cgroup: process.cgroup,
    });
    return { record, isNew: true };
  }
}
