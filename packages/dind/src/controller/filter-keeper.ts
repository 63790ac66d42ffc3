import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage, linux } from "@aeon/core";
import { makeMainSockets, removeMainSockets, socketPaths, type MainSocket } from "../mounts/main-socket.ts";
import { inNamespaces } from "../system/namespace-thread.ts";
import type { DindSettings } from "./dind-settings.ts";
import { FilterControl } from "./filter-control.ts";
import { filterConfigOf } from "./filter-config-of.ts";
import { moveBeside, removeFilterGroup } from "./filter-group.ts";
import { killFilters, startFilter, type FilterProcessOptions } from "./filter-process.ts";
import type { Live } from "./live.ts";
import { isAlive, readMainProcess, type MainProcess } from "./main-process.ts";
import { devicesOf } from "./main-devices.ts";
import { filteredSocketCopy } from "./main-mounts.ts";
import { requireRecord, type Parts } from "./parts.ts";
import type { MainContainer } from "./places.ts";

/** The filter of a DinD container, on the way. */
export interface FilterStart {
  /** The socket that inner containers get. */
  readonly socket: Pick<MainSocket, "path" | "inode">;
  /** Resolves when the filter serves. */
  readonly ready: Promise<void>;
}

const longestPauseMs = 30_000;
/** Milliseconds after which a filter that ends counts as one that ran well. */
const steadyMs = 60_000;

/** Starts filters, and starts them again when they end. */
export class FilterKeeper {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The filter that serves already, or a new one on the sockets that are there, or on new ones. */
  async ensure(main: MainContainer, process: MainProcess, settings: DindSettings): Promise<FilterStart> {
    const live = this.#parts.lives.of(main);
    const control = new FilterControl(live.places.filterControl);
    const before = requireRecord(this.#parts, main).sockets;
    const running = await control.status().catch(() => undefined);
    const [inode] = before;
    if (running !== undefined && inode !== undefined) {
      this.#adopt(main, live, running.pid, before);
      await this.#settle(main, process, running.pid);
      return { socket: { path: socketPaths[0], inode }, ready: Promise.resolve() };
    }
    live.filterWatch?.abort();
    if (before.length > 0) await killFilters(live.places.filterConfig);
    const sockets = live.sockets.length > 0 ? live.sockets : await this.#makeSockets(main, process, before);
    live.sockets = sockets;
    const paths = sockets.map(({ path }) => path);
    const { spec } = await this.#parts.mains.info(main);
    const config = filterConfigOf(main, live, settings, devicesOf(spec), paths);
    const ready = this.#begin(main, process, { live, config, sockets });
    // Awaited later; a failure before must not be an unhandled one.
    ready.catch(() => {});
    const first = sockets[0];
    if (first === undefined) throw new Error("no socket was made");
    return { socket: first, ready };
  }

  async #begin(
    main: MainContainer,
    process: MainProcess,
    { live, config, sockets }: Pick<FilterProcessOptions, "config" | "sockets"> & { readonly live: Live },
  ): Promise<void> {
    const { filterCommand: command } = this.#parts.options;
    const pid = await startFilter({ places: live.places, config, sockets, command });
    this.#watch(main, live);
    this.#settleLater(main, process, pid);
  }

  /** While the kernel moves a process between groups of cgroup v1 it starts no other, so a start is not kept waiting by it. */
  #settleLater(main: MainContainer, process: MainProcess, pid: number): void {
    void this.#parts.lives.inTurn(main, async (live) => {
      if (live.filterWatch !== undefined) await this.#settle(main, process, pid);
    });
  }

  /** The end of the agent's container, as at an upgrade, ends what is in its group, and with a filter its streams. */
  async #settle(main: MainContainer, { pid: ofMain }: MainProcess, pid: number): Promise<void> {
    const { lives, options } = this.#parts;
    const { key } = lives.of(main).places;
    const faults = await moveBeside(pid, { id: main.id, pid: ofMain }, key).catch((error: unknown) => [
      errorMessage(error),
    ]);
    if (faults.length > 0)
      options.log.warn({ container: main.id, faults }, "dind: the filter is still in the agent's group");
  }

  /** Whenever it is cut short, the record has every socket that may be there. */
  async #makeSockets(
    main: MainContainer,
    process: MainProcess,
    before: readonly string[],
  ): Promise<readonly MainSocket[]> {
    const write = (sockets: readonly string[]): Promise<unknown> =>
      this.#parts.records.put({ ...requireRecord(this.#parts, main), sockets });
    const sockets = await makeMainSockets(process, before, (made) => write([...made, ...before]));
    if (before.length > 0) await write(sockets.map(({ inode }) => inode));
    return sockets;
  }

  /** Sees to it that a D that runs has a filter, and its inner containers the socket. */
  async restore(main: MainContainer, process: MainProcess, settings: DindSettings): Promise<void> {
    const live = this.#parts.lives.of(main);
    const [before] = requireRecord(this.#parts, main).sockets;
    const { socket, ready } = await this.ensure(main, process, settings);
    await ready;
    if (live.pid !== undefined && socket.inode !== before)
      await inNamespaces(filteredSocketCopy(process.pid, live.pid, socket));
  }

  /** Ends it and removes its sockets. */
  async stop(main: MainContainer): Promise<void> {
    const { lives, records } = this.#parts;
    const live = lives.of(main);
    const record = requireRecord(this.#parts, main);
    this.release(live);
    const answered = await new FilterControl(live.places.filterControl).stop();
    if (!answered && record.sockets.length > 0) await killFilters(live.places.filterConfig);
    await removeFilterGroup(live.places.key);
    if (isAlive(record.pid, record.startTime)) removeMainSockets(record, record.sockets);
    await records.put({ ...record, sockets: [] });
  }

  /** Lets go of the sockets, which the filter goes on to serve. */
  release(live: Live): void {
    live.filterWatch?.abort();
    live.filterWatch = undefined;
    for (const { fd } of live.sockets) closeSync(fd);
    live.sockets = [];
  }

  /** Takes up a filter that runs: its sockets too, so that they outlive it. */
  #adopt(main: MainContainer, live: Live, pid: number, inodes: readonly string[]): void {
    if (live.filterWatch !== undefined) return;
    if (live.sockets.length === 0) {
      const taken: MainSocket[] = [];
      try {
        for (const [index, inode] of inodes.entries())
          taken.push({ path: socketPaths[index] ?? "", fd: linux.takeDescriptorSync(pid, 3 + index), inode });
        live.sockets = taken;
      } catch (error) {
        for (const { fd } of taken) closeSync(fd);
        this.#parts.options.log.warn(
          { error: errorMessage(error) },
          "dind: the filter's sockets are not shared",
        );
      }
    }
    this.#watch(main, live);
  }

  #watch(main: MainContainer, live: Live): void {
    const watch = new AbortController();
    live.filterWatch = watch;
    const signal = AbortSignal.any([watch.signal, this.#parts.signal]);
    const control = new FilterControl(live.places.filterControl);
    const since = Date.now();
    const look = async (): Promise<void> => {
      // It ends for a successor too, which is watched then.
      for (let known = await control.status(); ;) {
        await control.ended(signal);
        const next = await control.status().catch(() => undefined);
        if (next === undefined || next.pid === known.pid) return;
        known = next;
      }
    };
    look()
      .catch(() => {})
      .then(() => (signal.aborted ? undefined : this.#again(main, live, signal, Date.now() - since)))
      .catch((error: unknown) => {
        if (!signal.aborted)
          this.#parts.options.log.error(
            { container: main.id, error: errorMessage(error) },
            "dind: no filter",
          );
      });
  }

  /** The filter ended though nobody wanted it: another one on the same sockets, where clients wait meanwhile. */
  async #again(main: MainContainer, live: Live, signal: AbortSignal, lasted: number): Promise<void> {
    const { lives, records, mains, options } = this.#parts;
    let isBack = false;
    for (
      let pause = lasted > steadyMs ? 0 : 100;
      !isBack;
      pause = Math.min(longestPauseMs, 2 * pause || 100)
    ) {
      options.log.warn({ container: main.id, pause }, "dind: the filter ended, it is started again");
      await sleep(pause, undefined, { signal });
      isBack = await lives.inTurn(main, async () => {
        const record = records.get(main.namespace, main.id);
        if (signal.aborted || record === undefined || record.wanted === "removing") return true;
        try {
          const process = await readMainProcess(record.pid);
          if (process === undefined || process.startTime !== record.startTime) return true;
          const settings = live.settings ?? options.settings(await mains.info(main), main.namespace);
          await this.restore(main, process, settings);
          return true;
        } catch (error) {
          live.reason = errorMessage(error);
          return false;
        }
      });
    }
  }
}
