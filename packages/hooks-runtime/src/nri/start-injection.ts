import { chmod, writeFile } from "node:fs/promises";
import type { Lifetime, PluginContext } from "@aeon/core";
import type { HooksConfig } from "../config.ts";
import { matcherFor } from "../rules/injection.ts";
import { openRuleStore } from "../rules/rule-store.ts";
import { guardOf, guardPath, guardScript } from "../runtime/guard.ts";
import { startNriInjector } from "./nri-injector.ts";

/** Follows the rules and injects them over NRI until the lifetime ends. */
export async function startInjection(context: PluginContext<HooksConfig>, life: Lifetime): Promise<void> {
  const { config, root, log, metrics } = context;
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
