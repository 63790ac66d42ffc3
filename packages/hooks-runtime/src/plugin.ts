import { chmod, writeFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { definePlugin, Lifetime, type PluginContext } from "@aeon/core";
import { hooksConfig, type HooksConfig } from "./config.ts";

/**
 * Hooks as a plugin of the agent: follows the rules' files and injects rules into pods' containers over NRI. What it
 * needs is loaded when it starts with NRI turned on.
 */
export const hooksPlugin = definePlugin({
  name: "hooks",
  config: hooksConfig,
  async start(context) {
    const life = new Lifetime();
    try {
      if (context.config.nri) await startInjection(context, life);
      // Changed keys need other watchers and another connection.
      context.onReload(async (config) => changedKeys(context.config, config));
      return life;
    } catch (error) {
      await life[Symbol.asyncDispose]();
      throw error;
    }
  },
});

async function startInjection(context: PluginContext<HooksConfig>, life: Lifetime): Promise<void> {
  const { config, root, log, metrics } = context;
  const { openRuleStore } = await import("./rules/rule-store.ts");
  const { matcherFor } = await import("./rules/injection.ts");
  const { startNriInjector } = await import("./nri/nri-injector.ts");
  const { guardOf, guardPath, guardScript } = await import("./runtime/guard.ts");
  const guard = guardPath(root);
  await writeFile(guard, guardScript("/usr/bin/timeout"));
  await chmod(guard, 0o755);
  const matcherOf = (plan: Parameters<typeof matcherFor>[0]) => matcherFor(plan, guardOf(guard));
  const store = life.use(
    await openRuleStore({
      sources: { file: config.path, hooksD: config["hooks-d"] },
      log,
      onChange: (plan) => void follow(plan),
    }),
  );
  let matcher = await matcherOf(store.plan);
  async function follow(plan: typeof store.plan): Promise<void> {
    const next = await matcherOf(plan);
    // A later change may have been quicker.
    if (store.plan === plan) matcher = next;
  }
  const injector = life.use(
    startNriInjector({ socket: config["nri-socket"], matcher: () => matcher, log, metrics }),
  );
  context.health("rules", () =>
    store.failure === undefined ? { ok: true } : { ok: false, reason: store.failure },
  );
  // Without rules nobody misses the connection.
  context.health("nri", () => (store.plan.rules.length === 0 ? { ok: true } : injector.health()));
}

const changedKeys = (before: HooksConfig, after: HooksConfig): readonly string[] =>
  (["path", "hooks-d", "nri", "nri-socket"] as const).filter(
    (key) => !isDeepStrictEqual(before[key], after[key]),
  );
