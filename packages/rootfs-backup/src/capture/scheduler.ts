import {
  errorMessage,
  isAeonError,
  Lifetime,
  type ContainerEntry,
  type ContainerRegistry,
  type Logger,
  type SnapshotKey,
} from "@aeon/core";
import type { CaptureCall, CaptureRequest } from "./live-capturer.ts";
import type { KeptContainer } from "./kept-containers.ts";
import { scheduleLabel } from "./labels.ts";
import type { Pods } from "./pods.ts";
import { parseSchedule, type Schedule } from "./schedule.ts";

export interface SchedulerOptions {
  readonly registry: ContainerRegistry | undefined;
  readonly pods: Pods;
  /** For containers and pods that say nothing; none when absent. */
  readonly schedule: string | undefined;
  /** The container if it runs and is kept. */
  readonly kept: (entry: ContainerEntry, signal: AbortSignal) => Promise<KeptContainer | undefined>;
  readonly create: (request: CaptureRequest, call: CaptureCall) => Promise<unknown>;
  readonly log: Logger;
}

/** Milliseconds until containers that came or changed are noticed. */
const lookMs = 5000;

interface Planned {
  readonly text: string;
  readonly schedule: Schedule | undefined;
  /** Milliseconds since the epoch. */
  due: number | undefined;
}

/** Takes backups of running containers when their label, their pod's, or the configuration says so. */
export class Scheduler implements AsyncDisposable {
  readonly #options: SchedulerOptions;
  readonly #life = new Lifetime();
  readonly #plans = new Map<SnapshotKey, Planned>();
  readonly #running = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#life.defer(async () => {
      clearTimeout(this.#timer);
      await Promise.allSettled(this.#running);
    });
    this.#look();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  #look(): void {
    const looking = this.#plan()
      .catch((error: unknown) => this.#options.log.warn({ error: errorMessage(error) }, "schedules not read"))
      .finally(() => {
        this.#running.delete(looking);
        if (this.#life.signal.aborted) return;
        const dues = [...this.#plans.values()].map(({ due }) => due ?? Infinity);
        const wait = Math.max(0, Math.min(lookMs, Math.min(...dues) - Date.now()));
        this.#timer = setTimeout(() => this.#look(), wait).unref();
      });
    this.#running.add(looking);
  }

  async #plan(): Promise<void> {
    const { registry } = this.#options;
    const there = new Set<SnapshotKey>();
    for (const entry of registry?.list() ?? []) {
      const text = this.#textOf(entry);
      if (text === undefined) continue;
      there.add(entry.snapshotKey);
      const plan = await this.#planOf(entry, text);
      if (plan.due === undefined || plan.due > Date.now()) continue;
      plan.due = plan.schedule?.next(Date.now());
      this.#start(entry);
    }
    for (const key of this.#plans.keys()) if (!there.has(key)) this.#plans.delete(key);
  }

  /** Undefined for what has no schedule or does not run. */
  #textOf(entry: ContainerEntry): string | undefined {
    const { pods, schedule } = this.#options;
    if (entry.sandbox || entry.containerId === undefined || entry.exit !== undefined) return undefined;
    return entry.labels[scheduleLabel] ?? pods.labelsOf(entry)[scheduleLabel] ?? schedule;
  }

  async #planOf({ snapshotKey: key, containerId }: ContainerEntry, text: string): Promise<Planned> {
    const known = this.#plans.get(key);
    if (known?.text === text) return known;
    const schedule = await parseSchedule(text).catch((error: unknown) => {
      this.#options.log.warn({ container: containerId, error: errorMessage(error) }, "schedule not followed");
      return undefined;
    });
    const plan = { text, schedule, due: schedule?.next(Date.now()) };
    this.#plans.set(key, plan);
    return plan;
  }

  #start(entry: ContainerEntry): void {
    const work = this.#capture(entry).finally(() => this.#running.delete(work));
    this.#running.add(work);
  }

  async #capture(entry: ContainerEntry): Promise<void> {
    const { kept, create, log } = this.#options;
    const { signal } = this.#life;
    const { containerId, namespace } = entry;
    try {
      const container = await kept(entry, signal);
      if (container === undefined) return;
      await create({ namespace, containerId: container.containerId, trigger: "scheduled" }, { signal });
    } catch (error) {
      if (signal.aborted) return;
      if (isAeonError(error) && error.reason === "CAPTURE_RUNNING")
        log.warn({ container: containerId }, "scheduled backup skipped: the one before is still under way");
      else log.error({ container: containerId, error: errorMessage(error) }, "scheduled backup not taken");
    }
  }
}
