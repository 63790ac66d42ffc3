import { setTimeout as sleep } from "node:timers/promises";
import { boundLog } from "./bound-log.ts";
import { FilterControl } from "./filter-control.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { isStopped, isUp, type Live } from "./live.ts";
import { isAlive } from "./main-process.ts";
import type { Parts } from "./parts.ts";
import { ping, runningContainers } from "./ping.ts";
import type { Reconciler } from "./reconciler.ts";
import type { DindRecord } from "./records.ts";

const healthMs = 5000;

/** Looks after DinD containers: whether they answer, whether anybody uses them, how much they log. */
export class Health {
  readonly #parts: Parts;
  readonly #lifecycle: Lifecycle;
  readonly #reconciler: Reconciler;

  constructor(parts: Parts, lifecycle: Lifecycle, reconciler: Reconciler) {
    this.#parts = parts;
    this.#lifecycle = lifecycle;
    this.#reconciler = reconciler;
  }

  async watch(): Promise<void> {
    const { signal, options } = this.#parts;
    while (!signal.aborted) {
      await sleep(options.healthMs ?? healthMs, undefined, { signal, ref: false }).catch(() => {});
      if (!signal.aborted) await this.#look();
    }
  }

  /** Whether dockerd answers, and why not. */
  async check(live: Live): Promise<void> {
    const reason = await ping(live.places.upstream);
    if (!isUp(live)) return;
    live.state = reason === undefined ? "running" : "unhealthy";
    live.reason = reason ?? "";
  }

  async #look(): Promise<void> {
    const { records, lives, signal } = this.#parts;
    for (const record of records.list()) {
      if (signal.aborted) return;
      const live = lives.of(record);
      const isOver =
        record.wanted === "removing" || (record.wanted === "stopped" && !isStopped(record, live));
      if (isOver || !isAlive(record.pid, record.startTime))
        await lives.inTurn(record, () => this.#reconciler.one(record, live)).catch(() => {});
      else if (isUp(live)) {
        await this.check(live);
        await boundLog(live.places.daemonLog);
        await boundLog(live.places.filterLog);
        await this.#restIfIdle(record, live);
      }
    }
  }

  async #restIfIdle(record: DindRecord, live: Live): Promise<void> {
    const idleMs = live.settings?.idleMs ?? 0;
    if (idleMs === 0) return;
    const filter = await new FilterControl(live.places.filterControl).status().catch(() => undefined);
    const isUsed =
      filter === undefined || filter.connections > 0 || (await runningContainers(live.places.upstream)) > 0;
    if (isUsed) live.idleSince = undefined;
    else live.idleSince ??= Date.now();
    if (live.idleSince === undefined || Date.now() - live.idleSince < idleMs) return;
    await this.#parts.lives.inTurn(record, async () => {
      if (!isUp(live) || this.#parts.records.get(record.namespace, record.id)?.wanted !== "running") return;
      this.#parts.options.log.info({ container: record.id }, "dind: nobody uses it, it rests");
      await this.#lifecycle.rest(record, live);
    });
  }
}
