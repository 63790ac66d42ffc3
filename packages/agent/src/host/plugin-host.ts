import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Capability, Logger, Metrics, Plugin } from "@aeon/core";
import type { PluginStatus } from "../admin/index.ts";
import { errors } from "../errors.ts";
import { defaultBackoff, type BackoffOptions } from "./backoff.ts";
import { Capabilities } from "./capabilities.ts";
import { ContainerServices } from "./container-services.ts";
import { HookRelay } from "./hook-relay.ts";
import { PluginRunner } from "./plugin-runner.ts";

export interface PluginHostOptions {
  readonly root: string;
  readonly state: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly backoff?: BackoffOptions;
  /** Milliseconds for a plugin to become ready. Default 60 000. */
  readonly startMs?: number;
  /** Milliseconds for a plugin to stop. Default 10 000. */
  readonly stopMs?: number;
}

/** Runs plugins side by side: the failure of one never stops another, except those that use what it offered. */
export class PluginHost {
  readonly hooks = new HookRelay();
  readonly services = new ContainerServices();
  readonly #options: PluginHostOptions;
  readonly #capabilities = new Capabilities();
  readonly #runners: PluginRunner[] = [];
  readonly #configs = new Map<string, unknown>();
  readonly #watchers = new Set<() => void>();
  readonly #meters;

  constructor(options: PluginHostOptions) {
    this.#options = options;
    this.#meters = {
      ready: options.metrics.gauge({
        name: "plugin_ready",
        help: "1 while the plugin is ready.",
        labels: ["plugin"],
      }),
      failures: options.metrics.counter({
        name: "plugin_failures_total",
        help: "Failed starts and failures while running.",
        labels: ["plugin"],
      }),
    };
  }

  /** Adds a plugin after all others and starts it; it is stopped before them. */
  start(plugin: Plugin, config: unknown): PluginRunner {
    const {
      root,
      state,
      log,
      metrics,
      backoff = defaultBackoff,
      startMs = 60_000,
      stopMs = 10_000,
    } = this.#options;
    const folders = { root: join(root, plugin.name), state: join(state, plugin.name) };
    const runner = new PluginRunner({
      plugin: withFolders(plugin, Object.values(folders)),
      config,
      ...folders,
      log,
      metrics,
      capabilities: this.#capabilities,
      snapshotHooks: this.hooks,
      containerServices: this.services,
      backoff,
      startMs,
      stopMs,
      changed: (changed) => this.#changed(changed),
    });
    this.#runners.push(runner);
    this.#configs.set(plugin.name, config);
    runner.start();
    return runner;
  }

  /** Offers something of the agent itself. */
  provide<T>(capability: Capability<T>, value: T): void {
    this.#capabilities.provide("agent", capability, value);
  }

  find<T>(capability: Capability<T>): T | undefined {
    return this.#capabilities.peek(capability);
  }

  statuses(): readonly PluginStatus[] {
    return this.#runners.map((runner) => runner.status());
  }

  isReady(name: string): boolean {
    return this.#runners.some((runner) => runner.name === name && runner.isReady);
  }

  /** Calls `watcher` after each change of a plugin's state. */
  onChange(watcher: () => void): Disposable {
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  /** Gives each plugin whose table changed the new one; returns the keys that wait for a restart. */
  async reload(configs: ReadonlyMap<string, unknown>): Promise<readonly string[]> {
    const pending: string[] = [];
    for (const runner of this.#runners) {
      const config = configs.get(runner.name);
      if (config === undefined || isDeepStrictEqual(config, this.#configs.get(runner.name))) continue;
      this.#configs.set(runner.name, config);
      const keys = await runner.reload(config);
      pending.push(...keys.map((key) => `${runner.name}.${key}`));
    }
    return pending;
  }

  /** Stops all plugins, the last started first; each within its time limit, none when `skip` is aborted. */
  async stop(skip: AbortSignal): Promise<void> {
    for (const runner of this.#runners.toReversed()) await runner.stop(skip);
  }

  #changed(runner: PluginRunner): void {
    const status = runner.status();
    this.#meters.ready.set({ plugin: runner.name }, status.state === "ready" ? 1 : 0);
    if (status.state === "failed" || status.state === "stopped") this.#withdraw(runner);
    if (status.state === "failed" && status.failure !== undefined)
      this.#meters.failures.inc({ plugin: runner.name });
    if (status.state === "ready") for (const other of this.#runners) other.retryIfMissing();
    for (const watcher of this.#watchers) watcher();
  }

  /** Whoever holds an object of a stopped plugin has to get the next one. */
  #withdraw(runner: PluginRunner): void {
    const users = this.#capabilities.withdraw(runner.name);
    for (const other of this.#runners)
      if (users.has(other.name))
        other.fail(
          errors.DEPENDENCY_STOPPED(`plugin ${other.name} uses ${runner.name}, which stopped`, {
            details: { plugin: other.name, dependency: runner.name },
          }),
        );
  }
}

/** Makes the plugin's folders before each start, since the state folder may be emptied meanwhile. */
function withFolders(plugin: Plugin, folders: readonly string[]): Plugin {
  return {
    ...plugin,
    async start(context) {
      for (const folder of folders) mkdirSync(folder, { recursive: true, mode: 0o700 });
      return plugin.start(context);
    },
  };
}
