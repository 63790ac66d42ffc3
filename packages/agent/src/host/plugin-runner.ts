import {
  errorMessage,
  isAeonError,
  Lifetime,
  type Health,
  type Logger,
  type Metrics,
  type Plugin,
  type PluginContext,
} from "@aeon/core";
import type { PluginState, PluginStatus } from "../admin/index.ts";
import { errors } from "../errors.ts";
import { backoffMs, type BackoffOptions } from "./backoff.ts";
import { endsWithin } from "./bounded.ts";
import type { Capabilities } from "./capabilities.ts";
import type { ContainerServices } from "./container-services.ts";
import type { HookRelay } from "./hook-relay.ts";
import { pluginScope, type PluginScope } from "./plugin-scope.ts";

/** What a runner needs of the host. */
export interface RunnerOptions {
  readonly plugin: Plugin;
  /** The plugin's checked table. */
  readonly config: unknown;
  readonly root: string;
  readonly state: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly capabilities: Capabilities;
  readonly snapshotHooks: HookRelay;
  readonly containerServices: ContainerServices;
  readonly backoff: BackoffOptions;
  readonly startMs: number;
  readonly stopMs: number;
  /** Told after every change of state. */
  readonly changed: (runner: PluginRunner) => void;
}

type ReloadHandler = (config: unknown) => Promise<readonly string[]>;

/** One attempt to run the plugin. */
interface Run {
  readonly life: Lifetime;
  readonly failed: PromiseWithResolvers<never>;
  readonly checks: Map<string, () => Health>;
  readonly reloadHandlers: ReloadHandler[];
}

/** Keeps one plugin running: starts it, watches it, and starts it again after a failure with growing pauses. */
export class PluginRunner implements PluginScope {
  readonly #options: RunnerOptions;
  readonly #stop = new AbortController();
  readonly #settled = Promise.withResolvers<void>();
  #config: unknown;
  #state: PluginState = "starting";
  #failure: unknown;
  #restarts = 0;
  #failuresInRow = 0;
  #run: Run | undefined;
  #wake: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  get name(): string {
    return this.#options.plugin.name;
  }

  /** Whether snapshots may have to wait for the plugin's hooks. */
  get hooksSnapshots(): boolean {
    return this.#options.plugin.hooksSnapshots ?? true;
  }

  get isReady(): boolean {
    return this.#state === "ready";
  }

  /** The failure of the last attempt. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Resolves when the first attempt is over, whatever came of it. */
  get firstAttempt(): Promise<void> {
    return this.#settled.promise;
  }

  status(): PluginStatus {
    const checks = [...(this.#run?.checks ?? [])].map(([name, check]) => ({
      name,
      health: safeHealth(check),
    }));
    return {
      name: this.name,
      state: this.#state,
      ...(this.#failure !== undefined && this.#state !== "ready" && { failure: errorMessage(this.#failure) }),
      restarts: this.#restarts,
      checks,
    };
  }

  start(): void {
    this.#running ??= this.#keepRunning();
  }

  fail(error: unknown): void {
    this.#run?.failed.reject(error);
  }

  /** Ends the pause before the next attempt, if the plugin waits for something that may be there now. */
  retryIfMissing(): void {
    if (isAeonError(this.#failure, "CAPABILITY_MISSING") || isAeonError(this.#failure, "DEPENDENCY_STOPPED"))
      this.#wake?.();
  }

  /** Stops the plugin for good, within the time limit. */
  async stop(skip: AbortSignal): Promise<void> {
    this.#stop.abort(new Error("the agent is stopping"));
    this.#wake?.();
    this.fail(this.#stop.signal.reason);
    if (this.#running !== undefined && !(await endsWithin(this.#running, this.#options.stopMs * 2, skip)))
      this.#options.log.warn({ plugin: this.name }, "plugin was left behind: it did not stop in time");
    this.#setState("stopped");
  }

  /** Hands a new table to the plugin; returns the keys (below its table) that only a restart changes. */
  async reload(config: unknown): Promise<readonly string[]> {
    this.#config = config;
    const handlers = this.#run?.reloadHandlers ?? [];
    if (!this.isReady) return [];
    if (handlers.length === 0) return ["*"];
    const keys = await Promise.all(handlers.map((handler) => handler(config)));
    return keys.flat();
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const started = performance.now();
      try {
        await this.#once();
      } catch (error) {
        if (signal.aborted) break;
        this.#failuresInRow =
          performance.now() - started > this.#options.backoff.resetMs ? 1 : this.#failuresInRow + 1;
        await this.#pause(error);
      }
    }
    this.#settled.resolve();
  }

  async #pause(failure: unknown): Promise<void> {
    const pauseMs = backoffMs(this.#failuresInRow, this.#options.backoff);
    this.#failure = failure;
    this.#setState("failed");
    this.#options.log.error(
      { plugin: this.name, error: failure, retryMs: Math.round(pauseMs) },
      "plugin failed",
    );
    this.#settled.resolve();
    if (this.#stop.signal.aborted) return;
    const pause = Promise.withResolvers<boolean>();
    this.#wake = () => pause.resolve(true);
    await endsWithin(pause.promise, pauseMs);
    this.#wake = undefined;
    this.#restarts += 1;
  }

  /** Runs the plugin until it fails or has to stop; always rejects. */
  async #once(): Promise<never> {
    const run: Run = {
      life: new Lifetime(),
      failed: Promise.withResolvers(),
      checks: new Map(),
      reloadHandlers: [],
    };
    run.failed.promise.catch(() => {});
    this.#run = run;
    this.#setState("starting");
    try {
      await this.#startPlugin(run);
      this.#failure = undefined;
      this.#setState("ready");
      this.#settled.resolve();
      return await run.failed.promise;
    } finally {
      this.#run = undefined;
      if (this.isReady) this.#setState("failed");
      await this.#dispose(run);
    }
  }

  async #startPlugin(run: Run): Promise<void> {
    const { plugin, startMs } = this.#options;
    const starting = pluginScope.run(this, async () => plugin.start(this.#context(run)));
    const owned = starting.then((handle) => {
      // A start that ends after its time limit must not leave anything running.
      if (run.life.signal.aborted) return handle[Symbol.asyncDispose]();
      run.life.use(handle);
      return undefined;
    });
    owned.catch(() => {});
    if (!(await endsWithin(Promise.race([owned, run.failed.promise]), startMs)))
      throw errors.PLUGIN_START_TIMEOUT(`plugin ${plugin.name} was not ready within ${startMs / 1000} s`, {
        details: { plugin: plugin.name },
      });
  }

  #context(run: Run): PluginContext<unknown> {
    const { root, state, log, metrics, capabilities, snapshotHooks, containerServices } = this.#options;
    const name = this.name;
    return {
      config: this.#config,
      log: log.child({ plugin: name }),
      metrics,
      root,
      state,
      signal: run.life.signal,
      snapshotHooks: {
        register: (hook) => run.life.use(snapshotHooks.register(hook, (error) => run.failed.reject(error))),
      },
      containerServices: {
        register: (service) => run.life.use(containerServices.register(service)),
      },
      provide: (capability, value) => capabilities.provide(name, capability, value),
      require: (capability) => capabilities.require(name, capability),
      find: (capability) => capabilities.find(name, capability),
      health: (check, health) => void run.checks.set(check, health),
      fail: (error) => run.failed.reject(error),
      onReload: (handler) => void run.reloadHandlers.push(handler),
    };
  }

  async #dispose(run: Run): Promise<void> {
    const { log, stopMs } = this.#options;
    try {
      if (!(await endsWithin(run.life[Symbol.asyncDispose](), stopMs)))
        log.error({ plugin: this.name, limitMs: stopMs }, "plugin did not stop in time");
    } catch (error) {
      log.error({ plugin: this.name, error }, "plugin did not stop cleanly");
    }
  }

  #setState(state: PluginState): void {
    this.#state = state;
    this.#options.changed(this);
  }
}

function safeHealth(check: () => Health): Health {
  try {
    return check();
  } catch (error) {
    return { ok: false, reason: errorMessage(error) };
  }
}
