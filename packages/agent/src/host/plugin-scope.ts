import { AsyncLocalStorage } from "node:async_hooks";

/** Whoever is responsible for errors that nobody catches in code that a plugin started. */
export interface PluginScope {
  readonly name: string;
  fail(error: unknown): void;
}

/** Follows timers, promises and callbacks, so that an uncaught error finds its plugin. */
export const pluginScope = new AsyncLocalStorage<PluginScope>();
