import { existsSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { definePlugin, Lifetime, type PluginContext } from "@aeon/core";
import { hooksConfig, type HooksConfig } from "./config.ts";
import type { NriInjector } from "./nri/nri-injector.ts";
import type { OpenHooks } from "./open-hooks.ts";
import { whenPathExists } from "./rules/when-path-exists.ts";
import { hooksService } from "./service.ts";

/**
 * Hooks as a plugin of the agent: follows the rules' files and injects rules into pods' containers over NRI. What that
 * needs is loaded when there are rules or a runtime with NRI, or somebody asks: an agent at rest does without its
 * memory.
 */
export const hooksPlugin = definePlugin({
  name: "hooks",
  config: hooksConfig,
  hooksSnapshots: false,
  async start(context) {
    const life = new Lifetime();
    try {
      const parts = new LazyParts(context, life);
      context.provide(hooksService, {
        rules: async () => {
          const { store } = await parts.hooks();
          return { plan: store.plan, failure: store.failure };
        },
        explain: async (facts) => (await parts.hooks()).matcher().explain(facts),
        runs: async () => (await parts.hooks()).runs(),
        nri: () => parts.injector?.status(),
      });
      if (context.config.nri) await injectWhenNeeded(context, parts, life);
      // Changed keys need other watchers and another connection.
      context.onReload(async (config) => changedKeys(context.config, config));
      return life;
    } catch (error) {
      await life[Symbol.asyncDispose]();
      throw error;
    }
  },
});

class LazyParts {
  readonly #context: PluginContext<HooksConfig>;
  readonly #life: Lifetime;
  #hooks: Promise<OpenHooks> | undefined;
  injector: NriInjector | undefined;

  constructor(context: PluginContext<HooksConfig>, life: Lifetime) {
    this.#context = context;
    this.#life = life;
  }

  hooks(): Promise<OpenHooks> {
    return (this.#hooks ??= this.#open());
  }

  async inject(): Promise<void> {
    const hooks = await this.hooks();
    const { startInjection } = await import("./nri/start-injection.ts");
    if (!this.#life.signal.aborted) this.injector = startInjection(this.#context, hooks, this.#life);
  }

  async #open(): Promise<OpenHooks> {
    const { openHooks } = await import("./open-hooks.ts");
    return openHooks(this.#context, this.#life);
  }
}

async function injectWhenNeeded(
  context: PluginContext<HooksConfig>,
  parts: LazyParts,
  life: Lifetime,
): Promise<void> {
  const { config } = context;
  const paths = [config["nri-socket"], config.path, ...config["hooks-d"]];
  if (paths.some((path) => existsSync(path))) return parts.inject();
  whenPathExists(paths, life.signal)
    .then((path) => (path === undefined ? undefined : parts.inject()))
    .catch((error: unknown) => context.fail(error));
}

const changedKeys = (before: HooksConfig, after: HooksConfig): readonly string[] =>
  (["path", "hooks-d", "nri", "nri-socket", "nri-config", "record", "toolkit"] as const).filter(
    (key) => !isDeepStrictEqual(before[key], after[key]),
  );
