import { existsSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { definePlugin, Lifetime, type PluginContext } from "@aeon/core";
import { hooksConfig, type HooksConfig } from "./config.ts";
import { whenPathExists } from "./rules/when-path-exists.ts";

/**
 * Hooks as a plugin of the agent: follows the rules' files and injects rules into pods' containers over NRI. What that
 * needs is loaded when there are rules or a runtime with NRI: an agent at rest does without its memory.
 */
export const hooksPlugin = definePlugin({
  name: "hooks",
  config: hooksConfig,
  async start(context) {
    const life = new Lifetime();
    try {
      if (context.config.nri) await injectWhenNeeded(context, life);
      // Changed keys need other watchers and another connection.
      context.onReload(async (config) => changedKeys(context.config, config));
      return life;
    } catch (error) {
      await life[Symbol.asyncDispose]();
      throw error;
    }
  },
});

async function injectWhenNeeded(context: PluginContext<HooksConfig>, life: Lifetime): Promise<void> {
  const { config } = context;
  const paths = [config["nri-socket"], config.path, ...config["hooks-d"]];
  const start = async (): Promise<void> => {
    const { startInjection } = await import("./nri/start-injection.ts");
    if (!life.signal.aborted) await startInjection(context, life);
  };
  if (paths.some((path) => existsSync(path))) return start();
  whenPathExists(paths, life.signal)
    .then((path) => (path === undefined ? undefined : start()))
    .catch((error: unknown) => context.fail(error));
}

const changedKeys = (before: HooksConfig, after: HooksConfig): readonly string[] =>
  (["path", "hooks-d", "nri", "nri-socket"] as const).filter(
    (key) => !isDeepStrictEqual(before[key], after[key]),
  );
