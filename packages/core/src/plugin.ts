import type { GenericSchema, InferOutput } from "valibot";
import type { Capability } from "./capability.ts";
import type { ContainerServiceRegistry } from "./container-services.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";
import type { SnapshotHookRegistry } from "./snapshot-hooks.ts";

export type Health = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** What the agent gives a plugin. Everything registered through it ends with the plugin. */
export interface PluginContext<Config> {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Folder for durable state of this plugin alone; exists. */
  readonly root: string;
  /** Folder for sockets and other run-time state of this plugin; exists, empty after a reboot. */
  readonly state: string;
  /** Aborted when the plugin has to stop. */
  readonly signal: AbortSignal;
  readonly snapshotHooks: SnapshotHookRegistry;
  /** What containers may ask of the plugin over their own socket. */
  readonly containerServices: ContainerServiceRegistry;
  /** Offers a value to plugins that start later. */
  provide<T>(capability: Capability<T>, value: T): void;
  /** Throws `failed-precondition` when nobody provides it. */
  require<T>(capability: Capability<T>): T;
  /** Undefined when nobody provides it. */
  find<T>(capability: Capability<T>): T | undefined;
  /** Shown on /readyz and by `aeonctl status`. */
  health(name: string, check: () => Health): void;
  /** Reports a failure after start; the agent restarts the plugin with back-off. */
  fail(error: unknown): void;
  /** Called with a checked new configuration; returns the keys that only a restart can change. */
  onReload(handler: (config: Config) => Promise<readonly string[]>): void;
}

/** One capability of the agent. `start` resolves when the plugin is ready; disposing the result stops it. */
export interface Plugin<Schema extends GenericSchema = GenericSchema> {
  /** Also its table in the configuration file. */
  readonly name: string;
  /** Checks the plugin's table; unknown keys are refused by the loader. */
  readonly config: Schema;
  /** False for a plugin that registers no snapshot hooks: snapshots are served before it is ready. Default true. */
  readonly hooksSnapshots?: boolean;
  start(context: PluginContext<InferOutput<Schema>>): Promise<AsyncDisposable>;
}

/** Types a plugin's start function by its schema. */
export const definePlugin = <Schema extends GenericSchema>(plugin: Plugin<Schema>): Plugin<Schema> => plugin;
