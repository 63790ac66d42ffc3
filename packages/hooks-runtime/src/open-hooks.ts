import { chmod, mkdir, writeFile } from "node:fs/promises";
import type { Lifetime, PluginContext } from "@aeon/core";
import type { HooksConfig } from "./config.ts";
import { matcherFor, type Matcher } from "./rules/injection.ts";
import { compilePlan } from "./rules/plan.ts";
import { openRuleStore, type RuleStore } from "./rules/rule-store.ts";
import { guardOf, guardPath, guardScript, guardTools } from "./runtime/guard.ts";
import { followRuns } from "./runs/follow-runs.ts";
import { durationMs } from "./runs/summary.ts";
import { readHookRuns, type HookRun } from "./runs/hook-run.ts";
import { runsPath } from "./runs/runs-folder.ts";

/** Rules that are followed, and the runs of their hooks. */
export interface OpenHooks {
  readonly store: RuleStore;
  /** The rules in force, ready to be asked. */
  readonly matcher: () => Matcher;
  readonly runs: () => Promise<readonly HookRun[]>;
}

/** Follows the rules and the runs of hooks until the lifetime ends. */
export async function openHooks(context: PluginContext<HooksConfig>, life: Lifetime): Promise<OpenHooks> {
  const { config, root, log } = context;
  await writeFile(guardPath(root), guardScript(guardTools));
  await chmod(guardPath(root), 0o755);
  await mkdir(runsPath(root), { recursive: true, mode: 0o700 });
  const matcherOf = (plan: Matcher["plan"]) =>
    matcherFor(plan, guardOf({ state: root, record: config.record }));
  let matcher = await matcherOf(compilePlan([]));
  let opened: RuleStore | undefined;
  // Called before the store is open as well, and a later change may be quicker than the one before.
  const follow = async (plan: Matcher["plan"]): Promise<void> => {
    const next = await matcherOf(plan);
    if (opened === undefined || opened.plan === plan) matcher = next;
  };
  const sources = { file: config.path, hooksD: config["hooks-d"] };
  const store = life.use(await openRuleStore({ sources, log, onChange: (plan) => void follow(plan) }));
  opened = store;
  await follow(store.plan);
  context.health("rules", () =>
    store.failure === undefined ? { ok: true } : { ok: false, reason: store.failure },
  );
  const folders = [runsPath(root), runsPath(config.toolkit)];
  await measureRuns(context, folders, life);
  const runs = async (): Promise<readonly HookRun[]> =>
    (await Promise.all(folders.map(readHookRuns)))
      .flat()
      .toSorted((a, b) => Number(b.startedAt - a.startedAt));
  return { store, matcher: () => matcher, runs };
}

async function measureRuns(
  { metrics, log }: PluginContext<HooksConfig>,
  folders: readonly string[],
  life: Lifetime,
): Promise<void> {
  const total = metrics.counter({
    name: "hooks_runs_total",
    help: "Kept runs of hooks, by outcome.",
    labels: ["rule", "stage", "outcome"],
  });
  const seconds = metrics.histogram({
    name: "hooks_run_seconds",
    help: "Time that hooks took, of kept runs.",
    labels: ["rule", "stage"],
    buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
  });
  const onRun = (run: HookRun): void => {
    const { rule, stage, status, policy, output, ...container } = run;
    const outcome = status === 0 ? "ok" : policy === "ignore" ? "ignored" : "failed";
    total.inc({ rule, stage, outcome });
    seconds.observe({ rule, stage }, durationMs(run) / 1000);
    if (status === 0) return;
    const { program, containerId, namespace, pod } = container;
    log.warn({ rule, stage, program, status, containerId, namespace, pod, output }, "hook failed");
  };
  for (const folder of folders) {
    const follower = await followRuns({ folder, onRun, log }).catch((error: unknown) => {
      log.warn({ folder, error }, "runs are not followed");
      return undefined;
    });
    if (follower !== undefined) life.use(follower);
  }
}
