import { containerRegistry, podFolders, type Lifetime, type PluginContext } from "@aeon/core";
import type { HooksConfig } from "../config.ts";
import type { OpenHooks } from "../open-hooks.ts";
import { nriPluginName, startNriInjector, type NriInjector } from "./nri-injector.ts";
import { readRuntimePolicy } from "./runtime-policy.ts";

/** Injects the rules over NRI until the lifetime ends. */
export function startInjection(
  context: PluginContext<HooksConfig>,
  { store, matcher }: OpenHooks,
  life: Lifetime,
): NriInjector {
  const { config, log, metrics } = context;
  const injector = life.use(
    startNriInjector({
      socket: config["nri-socket"],
      matcher,
      log,
      metrics,
      policy: () => readRuntimePolicy(config["nri-config"], nriPluginName),
      folders: () => context.find(podFolders),
      announce: (container) => context.find(containerRegistry)?.announce(container),
    }),
  );
  // Without rules nobody misses the connection.
  context.health("nri", () => (store.plan.rules.length === 0 ? { ok: true } : injector.health()));
  context.health("nri-policy", () => {
    const hasHooks = store.plan.rules.some(({ hooks }) => Object.keys(hooks).length > 0);
    return hasHooks && injector.rejectsHooks()
      ? { ok: false, reason: "the runtime refuses containers that get hooks (reject_oci_hook_adjustment)" }
      : { ok: true };
  });
  return injector;
}
