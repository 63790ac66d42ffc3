import { mkdir } from "node:fs/promises";
import { closeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage, type Logger } from "@aeon/core";
import type { Client, ContainerInfo } from "@aeon/containerd";
import { errors } from "../errors.ts";
import type { FilterConfig } from "../filter/filter-config.ts";
import { makeMainSockets, removeMainSockets } from "../mounts/main-socket.ts";
import { inNamespaces } from "../system/namespace-thread.ts";
import { daemonConfig, replace } from "./daemon-files.ts";
import { liveSettings, type DindSettings } from "./dind-settings.ts";
import { FilterControl, startFilter } from "./filter-process.ts";
import { isAlive, readMainProcess, type MainProcess } from "./main-process.ts";
import { ping } from "./ping.ts";
import { placesOf, type MainContainer, type Places } from "./places.ts";
import { DindRecords, type DindRecord } from "./records.ts";
import { endDind, removeFiles } from "./remove-dind.ts";
import { isGone, linksOf, startDind } from "./start-dind.ts";
import { WakeUp } from "./wake-up.ts";

export interface ControllerOptions {
  readonly client: Client;
  readonly root: string;
  readonly state: string;
  readonly snapshotter: string;
  readonly imageArchive: string | undefined;
  readonly log: Logger;
  /** What holds for a main container, and where each value comes from. */
  readonly settings: (main: ContainerInfo, namespace: string) => DindSettings;
  /** How a main container asks for Docker by itself, if it does. */
  readonly request: (main: ContainerInfo) => "start" | "arm" | undefined;
  /** Namespaces that are looked after; all when absent. */
  readonly isOurs: (namespace: string) => boolean;
  readonly filterCommand?: readonly string[];
  /** Added to dockerd's environment, such as the host's proxy. */
  readonly env?: readonly string[];
}

export type DindState =
  | "armed"
  | "starting"
  | "running"
  | "unhealthy"
  | "restarting"
  | "stopped"
  | "removing";

export interface DindStatus extends MainContainer {
  readonly state: DindState;
  /** Why it does not run as it should. */
  readonly reason: string;
  readonly restarts: number;
  readonly container: string;
  /** First process of the DinD container; absent while it has none. */
  readonly pid: number | undefined;
  readonly since: number;
}

/** What is known of one DinD container in this process; the record has what must survive it. */
interface Live {
  readonly places: Places;
  queue: Promise<unknown>;
  state: DindState;
  reason: string;
  restarts: number;
  pid: number | undefined;
  since: number;
  settings: DindSettings | undefined;
  wakeUp: WakeUp | undefined;
  /** Since when nobody used it. */
  idleSince: number | undefined;
}

const healthMs = 5000;
const longestPauseMs = 60_000;

/** Runs a DinD container beside each main container that has one, and nothing beside the others. */
export class DindController implements AsyncDisposable {
  readonly #options: ControllerOptions;
  readonly #records: DindRecords;
  readonly #live = new Map<string, Live>();
  readonly #abort = new AbortController();
  #loops: readonly Promise<void>[] = [];

  private constructor(options: ControllerOptions, records: DindRecords) {
    this.#options = options;
    this.#records = records;
  }

  /** Takes up what an earlier process left, and follows containerd from then on. */
  static async open(options: ControllerOptions): Promise<DindController> {
    await mkdir(options.root, { recursive: true, mode: 0o700 });
    await mkdir(options.state, { recursive: true, mode: 0o700 });
    const controller = new DindController(options, new DindRecords(join(options.root, "dind.db")));
    controller.#loops = [controller.#follow(), controller.#watchHealth()];
    return controller;
  }

  /** Starts it, or waits until a start under way is done. */
  start(main: MainContainer, signal: AbortSignal): Promise<DindStatus> {
    return this.#inTurn(main, async (live) => {
      if (live.state !== "running" && live.state !== "unhealthy") await this.#start(main, live, signal);
      return this.#statusOf(main, live);
    });
  }

  /** Ends it; images and volumes stay until the main container goes. */
  stop(main: MainContainer): Promise<DindStatus> {
    return this.#inTurn(main, async (live) => {
      const record = this.#require(main);
      await this.#records.put({ ...record, wanted: "stopped" });
      await this.#end(record, live, { kindly: true });
      await this.#disarm(live, record);
      live.state = "stopped";
      live.reason = "";
      return this.#statusOf(main, live);
    });
  }

  async restart(main: MainContainer, signal: AbortSignal): Promise<DindStatus> {
    await this.stop(main);
    return this.start(main, signal);
  }

  /** Makes the socket; the first client starts the rest. */
  arm(main: MainContainer): Promise<DindStatus> {
    return this.#inTurn(main, async (live) => {
      if (this.#records.get(main.namespace, main.id) === undefined) await this.#arm(main, live);
      return this.#statusOf(main, live);
    });
  }

  list(): readonly DindStatus[] {
    return this.#records.list().map((record) => this.#statusOf(record, this.#liveOf(record)));
  }

  /** Throws `DIND_NOT_FOUND`. */
  async status(main: MainContainer): Promise<DindStatus> {
    this.#require(main);
    const live = this.#liveOf(main);
    if (live.state === "running" || live.state === "unhealthy") await this.#check(live);
    return this.#statusOf(main, live);
  }

  /** The settings of a main container: those that its DinD container runs with, or would. */
  async settings(main: MainContainer): Promise<DindSettings> {
    const info = await this.#mainInfo(main);
    return this.#options.settings(info, main.namespace);
  }

  /** Those that its DinD container runs with; what would hold when there is none. */
  async settingsInForce(main: MainContainer): Promise<DindSettings> {
    const live = this.#live.get(`${main.namespace}/${main.id}`);
    return live?.settings ?? (await this.settings(main));
  }

  /** Takes over what a running dockerd can; gives the settings that need a restart, by container. */
  async reload(): Promise<ReadonlyMap<string, readonly string[]>> {
    const pending = new Map<string, readonly string[]>();
    for (const record of this.#records.list())
      await this.#inTurn(record, async (live) => {
        if (live.settings === undefined || live.state !== "running") return;
        const next = await this.settings(record);
        const before = live.settings;
        const keys = Object.keys(next).filter(
          (key) => JSON.stringify(Reflect.get(next, key)) !== JSON.stringify(Reflect.get(before, key)),
        );
        if (keys.length === 0) return;
        const held = keys.filter((key) => !isLive(key));
        if (held.length > 0) pending.set(`${record.namespace}/${record.id}`, held);
        const taken = {
          ...before,
          ...Object.fromEntries(keys.filter(isLive).map((key) => [key, Reflect.get(next, key)])),
        };
        await replace(join(live.places.config, "daemon.json"), daemonConfig(taken));
        const client = this.#options.client.withNamespace(record.namespace);
        await (await client.container(live.places.container).task()).kill("SIGHUP");
        live.settings = taken;
      }).catch((error: unknown) =>
        this.#options.log.warn({ error: errorMessage(error) }, "dind: reload failed"),
      );
    return pending;
  }

  /** Resolves when everything that is under way is done. */
  async settled(): Promise<void> {
    for (const live of this.#live.values()) await live.queue.catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error("the DinD controller ends"));
    await Promise.allSettled(this.#loops);
    await this.settled();
    for (const live of this.#live.values()) await live.wakeUp?.[Symbol.asyncDispose]();
    await this.#records[Symbol.asyncDispose]();
  }

  #inTurn<T>(main: MainContainer, work: (live: Live) => Promise<T>): Promise<T> {
    const live = this.#liveOf(main);
    const turn = live.queue.then(
      () => work(live),
      () => work(live),
    );
    live.queue = turn.catch(() => {});
    return turn;
  }

  #liveOf({ namespace, id }: MainContainer): Live {
    const name = `${namespace}/${id}`;
    let live = this.#live.get(name);
    if (live === undefined) {
      const places = placesOf(this.#options, { namespace, id });
      live = {
        places,
        queue: Promise.resolve(),
        state: "stopped",
        reason: "",
        restarts: 0,
        pid: undefined,
        since: 0,
        settings: undefined,
        wakeUp: undefined,
        idleSince: undefined,
      };
      this.#live.set(name, live);
    }
    return live;
  }

  #require({ namespace, id }: MainContainer): DindRecord {
    const record = this.#records.get(namespace, id);
    if (record === undefined)
      throw errors.DIND_NOT_FOUND(`container ${id} in namespace ${namespace} has no DinD container`, {
        details: { namespace, id },
      });
    return record;
  }

  #statusOf({ namespace, id }: MainContainer, live: Live): DindStatus {
    const { state, reason, restarts, pid, since, places } = live;
    return { namespace, id, state, reason, restarts, pid, since, container: places.container };
  }

  async #mainInfo({ namespace, id }: MainContainer): Promise<ContainerInfo> {
    return this.#options.client.withNamespace(namespace).container(id).info();
  }

  async #mainProcess({ namespace, id }: MainContainer): Promise<MainProcess | undefined> {
    const container = this.#options.client.withNamespace(namespace).container(id);
    try {
      const task = await container.task();
      const { state } = await task.status();
      return state === "running" ? await readMainProcess(task.pid) : undefined;
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  async #runningMain(main: MainContainer): Promise<MainProcess> {
    const process = await this.#mainProcess(main);
    if (process === undefined)
      throw errors.DIND_MAIN_NOT_RUNNING(`container ${main.id} in namespace ${main.namespace} does not run`, {
        details: { namespace: main.namespace, id: main.id },
      });
    return process;
  }

  /** The durable first step: from now on everything below these names is ours to remove. */
  async #claim(main: MainContainer, process: MainProcess, wanted: "armed" | "running"): Promise<DindRecord> {
    const known = this.#records.get(main.namespace, main.id);
    if (known !== undefined && known.pid === process.pid && known.startTime === process.startTime)
      return this.#records.put({ ...known, wanted });
    if (known !== undefined) await this.#remove(known, this.#liveOf(main));
    return this.#records.put({
      namespace: main.namespace,
      id: main.id,
      wanted,
      pid: process.pid,
      startTime: process.startTime,
      sockets: [],
      links: await linksOf(process.pid),
      forward: await inNamespaces({ kind: "read-network", pid: process.pid }),
      snapshotter: this.#options.snapshotter,
    });
  }

  async #start(main: MainContainer, live: Live, signal: AbortSignal): Promise<void> {
    const both = AbortSignal.any([signal, this.#abort.signal]);
    live.state = "starting";
    live.reason = "";
    try {
      const [process, info] = await Promise.all([this.#runningMain(main), this.#mainInfo(main)]);
      const record = await this.#claim(main, process, "running");
      await this.#end(record, live, { kindly: false });
      const settings = this.#options.settings(info, main.namespace);
      await mkdir(live.places.state, { recursive: true, mode: 0o700 });
      const filter = this.#ensureFilter(main, process, live, settings);
      // Awaited later; a failure before must not be an unhandled one.
      filter.catch(() => {});
      const task = await startDind({
        client: this.#options.client.withNamespace(main.namespace),
        main,
        process,
        mainSpec: info.spec,
        places: live.places,
        settings,
        snapshotter: this.#options.snapshotter,
        imageArchive: this.#options.imageArchive,
        env: this.#options.env ?? [],
        filter,
        signal: both,
      });
      Object.assign(live, {
        state: "running",
        pid: task.pid,
        since: Date.now(),
        settings,
        idleSince: undefined,
      });
      live.wakeUp?.handOver();
      live.wakeUp = undefined;
      this.#options.log.info(
        { container: main.id, namespace: main.namespace, pid: task.pid },
        "dind started",
      );
    } catch (error) {
      live.state = "stopped";
      live.reason = errorMessage(error);
      const record = this.#records.get(main.namespace, main.id);
      if (record !== undefined && !isAlive(record.pid, record.startTime)) await this.#remove(record, live);
      else if (record !== undefined) await this.#end(record, live, { kindly: false }).catch(() => {});
      throw error;
    }
  }

  async #arm(main: MainContainer, live: Live): Promise<void> {
    const [process, info] = await Promise.all([this.#runningMain(main), this.#mainInfo(main)]);
    await this.#claim(main, process, "armed");
    await mkdir(live.places.run, { recursive: true, mode: 0o700 });
    await this.#listen(main, live);
    await this.#ensureFilter(main, process, live, this.#options.settings(info, main.namespace));
    live.state = "armed";
  }

  async #listen(main: MainContainer, live: Live): Promise<void> {
    live.wakeUp = await WakeUp.listen(live.places.upstream, () => {
      void this.start(main, this.#abort.signal).catch((error: unknown) => {
        this.#options.log.warn({ container: main.id, error: errorMessage(error) }, "dind: lazy start failed");
        void live.wakeUp?.[Symbol.asyncDispose]();
        live.wakeUp = undefined;
      });
    });
  }

  async #disarm(live: Live, record: DindRecord): Promise<void> {
    await live.wakeUp?.[Symbol.asyncDispose]();
    live.wakeUp = undefined;
    await new FilterControl(live.places.filterControl).stop();
    removeMainSockets(record, record.sockets);
    await this.#records.put({ ...this.#require(record), sockets: [] });
  }

  /** The filter that serves already, or a new one on new sockets. */
  async #ensureFilter(
    main: MainContainer,
    process: MainProcess,
    live: Live,
    settings: DindSettings,
  ): Promise<{ path: string; inode: string }> {
    const record = this.#require(main);
    const control = new FilterControl(live.places.filterControl);
    const running = await control.status().catch(() => undefined);
    const [inode] = record.sockets;
    if (running !== undefined && inode !== undefined) return { path: "/run/docker.sock", inode };
    await control.stop();
    const sockets = makeMainSockets(process, record.sockets);
    try {
      await this.#records.put({ ...this.#require(main), sockets: sockets.map((socket) => socket.inode) });
      await startFilter(
        live.places,
        filterConfigOf(
          main,
          live.places,
          settings,
          sockets.map(({ path }) => path),
        ),
        sockets,
        this.#options.filterCommand,
      );
    } finally {
      for (const { fd } of sockets) closeSync(fd);
    }
    const first = sockets[0];
    if (first === undefined) throw errors.DIND_FILTER_FAILED("no socket was made");
    return first;
  }

  async #end(record: DindRecord, live: Live, how: { kindly: boolean }): Promise<void> {
    live.pid = undefined;
    await endDind(this.#options.client.withNamespace(record.namespace), live.places, record, how);
  }

  /** Takes everything away; what fails is tried again at the next reconciliation, for the record stays. */
  async #remove(record: DindRecord, live: Live): Promise<void> {
    live.state = "removing";
    await this.#records.put({ ...record, wanted: "removing" });
    await live.wakeUp?.[Symbol.asyncDispose]();
    live.wakeUp = undefined;
    await this.#end(record, live, { kindly: false });
    await new FilterControl(live.places.filterControl).stop();
    if (isAlive(record.pid, record.startTime)) removeMainSockets(record, record.sockets);
    await removeFiles(live.places);
    await this.#records.delete(record);
    live.state = "stopped";
    live.restarts = 0;
  }

  /** Brings what is in line with what should be. */
  async #reconcile(): Promise<void> {
    const { log } = this.#options;
    for (const record of this.#records.list())
      await this.#inTurn(record, (live) => this.#reconcileOne(record, live)).catch((error: unknown) => {
        this.#liveOf(record).reason = errorMessage(error);
        log.warn({ container: record.id, error: errorMessage(error) }, "dind: reconciliation failed");
      });
    for (const { name } of await this.#options.client.namespaces.list()) {
      if (!this.#options.isOurs(name)) continue;
      for (const info of await this.#options.client.withNamespace(name).containers())
        void this.#offer({ namespace: name, id: info.id }, info);
    }
  }

  async #reconcileOne(record: DindRecord, live: Live): Promise<void> {
    const current = this.#records.get(record.namespace, record.id);
    if (current === undefined) return;
    if (current.wanted === "removing" || !isAlive(current.pid, current.startTime)) {
      await this.#remove(current, live);
      return;
    }
    if (current.wanted === "stopped") live.state = "stopped";
    if (current.wanted === "armed" && live.wakeUp === undefined) await this.#arm(current, live);
    if (current.wanted === "running") await this.#adopt(current, live);
  }

  /** A D that an earlier process started goes on; one that is not whole is started again. */
  async #adopt(record: DindRecord, live: Live): Promise<void> {
    if (live.state === "running" || live.state === "unhealthy") return;
    const client = this.#options.client.withNamespace(record.namespace);
    const task = await client
      .container(live.places.container)
      .task()
      .catch((error: unknown) => {
        if (isGone(error)) return undefined;
        throw error;
      });
    const isRunning = task !== undefined && (await task.status()).state === "running";
    const filter = await new FilterControl(live.places.filterControl).status().catch(() => undefined);
    if (isRunning && filter !== undefined && (await ping(live.places.upstream)) === undefined) {
      const settings = await this.settings(record);
      Object.assign(live, { state: "running", pid: task.pid, since: Date.now(), settings });
      return;
    }
    await this.#start(record, live, this.#abort.signal);
  }

  /** Gives a main container what it asks for by its annotations. */
  async #offer(main: MainContainer, info: ContainerInfo): Promise<void> {
    const { request, log } = this.#options;
    const wish = request(info);
    if (wish === undefined || this.#records.get(main.namespace, main.id) !== undefined) return;
    if ((await this.#mainProcess(main)) === undefined) return;
    const done = wish === "start" ? this.start(main, this.#abort.signal) : this.arm(main);
    await done.catch((error: unknown) =>
      log.warn({ container: main.id, error: errorMessage(error) }, "dind: cannot start"),
    );
  }

  async #follow(): Promise<void> {
    const { client, log, isOurs } = this.#options;
    const filters = [`topic=="/tasks/start"`, `topic=="/tasks/exit"`];
    try {
      for await (const event of client.events({ filters, signal: this.#abort.signal })) {
        if (event.kind === "gap") {
          await this.#reconcile().catch((error: unknown) =>
            log.warn({ error: errorMessage(error) }, "dind: reconciliation failed"),
          );
          continue;
        }
        if (event.kind === "other" || !isOurs(event.namespace)) continue;
        if (event.topic === "/tasks/start") void this.#started(event.namespace, event.payload.containerId);
        if (event.topic === "/tasks/exit" && event.payload.id === event.payload.containerId)
          this.#exited(event.namespace, event.payload.containerId, event.payload.pid);
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) log.error({ error: errorMessage(error) }, "dind: events ended");
    }
  }

  async #started(namespace: string, id: string): Promise<void> {
    const main = { namespace, id };
    const info = await this.#mainInfo(main).catch(() => undefined);
    if (info !== undefined) await this.#offer(main, info);
  }

  #exited(namespace: string, id: string, pid: number): void {
    const { log } = this.#options;
    const report = (error: unknown): void =>
      log.warn({ container: id, error: errorMessage(error) }, "dind: clean-up failed, it is tried again");
    if (this.#records.get(namespace, id) !== undefined) {
      this.#inTurn({ namespace, id }, (live) =>
        this.#reconcileOne(this.#require({ namespace, id }), live),
      ).catch(report);
      return;
    }
    const dead = this.#records
      .list()
      .find((record) => record.namespace === namespace && this.#liveOf(record).places.container === id);
    // What is told late may be of one that was replaced long ago.
    if (dead !== undefined && this.#liveOf(dead).pid === pid) void this.#revive(dead).catch(report);
  }

  /** dockerd died: another one after a pause that grows. */
  async #revive(record: DindRecord): Promise<void> {
    const live = this.#liveOf(record);
    if (live.state !== "running" && live.state !== "unhealthy") return;
    live.state = "restarting";
    live.reason = "dockerd ended";
    const lasted = Date.now() - live.since;
    if (lasted > longestPauseMs) live.restarts = 0;
    for (let isUp = false; !isUp;) {
      live.restarts += 1;
      const pause = Math.min(longestPauseMs, 250 * 2 ** (live.restarts - 1));
      this.#options.log.warn(
        { container: record.id, pause, reason: live.reason },
        "dind: dockerd ended, it is started again",
      );
      await sleep(pause, undefined, { signal: this.#abort.signal });
      isUp = await this.#inTurn(record, () => this.#tryAgain(record, live));
    }
  }

  /** True when there is nothing more to try. */
  async #tryAgain(record: DindRecord, live: Live): Promise<boolean> {
    const current = this.#records.get(record.namespace, record.id);
    if (current?.wanted !== "running" || live.state !== "restarting") return true;
    try {
      await this.#start(record, live, this.#abort.signal);
      return true;
    } catch (error) {
      if (this.#abort.signal.aborted || this.#records.get(record.namespace, record.id) === undefined)
        return true;
      live.state = "restarting";
      live.reason = errorMessage(error);
      return false;
    }
  }

  async #check(live: Live): Promise<void> {
    const reason = await ping(live.places.upstream);
    if (live.state !== "running" && live.state !== "unhealthy") return;
    live.state = reason === undefined ? "running" : "unhealthy";
    live.reason = reason ?? "";
  }

  async #watchHealth(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      await sleep(healthMs, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      for (const record of this.#records.list()) {
        const live = this.#liveOf(record);
        if (!isAlive(record.pid, record.startTime) || record.wanted === "removing")
          await this.#inTurn(record, () => this.#reconcileOne(record, live)).catch(() => {});
        else if (live.state === "running" || live.state === "unhealthy") await this.#watchOne(record, live);
      }
    }
  }

  async #watchOne(record: DindRecord, live: Live): Promise<void> {
    await this.#check(live);
    const idleMs = live.settings?.idleMs ?? 0;
    if (idleMs === 0) return;
    const filter = await new FilterControl(live.places.filterControl).status().catch(() => undefined);
    if (filter === undefined || filter.connections > 0) live.idleSince = undefined;
    else live.idleSince ??= Date.now();
    if (live.idleSince === undefined || Date.now() - live.idleSince < idleMs) return;
    await this.#inTurn(record, async () => {
      await this.#records.put({ ...this.#require(record), wanted: "armed" });
      await this.#end(record, live, { kindly: true });
      await this.#listen(record, live);
      live.state = "armed";
    });
  }
}

const isLive = (key: string): boolean => liveSettings.some((name) => name === key);

function filterConfigOf(
  main: MainContainer,
  places: Places,
  settings: DindSettings,
  socketPaths: readonly string[],
): FilterConfig {
  const { policyFile, network, addressPool } = settings;
  return {
    version: 1,
    container: main,
    listeners: [],
    upstream: places.upstream,
    socketPaths: [...new Set([...socketPaths, "/run/docker.sock", "/var/run/docker.sock"])],
    filteredSocket: "/run/aeon/filtered",
    network: { policy: network, pools: [addressPool] },
    ...(policyFile !== undefined && { policyFile }),
    stateFolder: places.filterState,
    auditFile: places.auditFile,
    controlSocket: places.filterControl,
  };
}
