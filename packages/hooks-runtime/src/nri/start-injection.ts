import type { Lifetime, PluginContext } from "@aeon/core";
import type { HooksConfig } from "../config.ts";
import type { OpenHooks } from "../open-hooks.ts";
import { startNriInjector, type NriInjector } from "./nri-injector.ts";

/** Injects the rules over NRI until the lifetime ends. */
export function startInjection(
  context: PluginContext<HooksConfig>,
  { store, matcher }: OpenHooks,
  life: Lifetime,
): NriInjector {
  const { config, log, metrics } = context;
  const injector = life.use(startNriInjector({ socket: config["nri-socket"], matcher, log, metrics }));
  // Without rules nobody misses the connection.
  context.health("nri", () => (store.plan.rules.length === 0 ? { ok: true } : injector.health()));
  return injector;
}
