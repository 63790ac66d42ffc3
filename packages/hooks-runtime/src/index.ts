export type { Answer, Condition, Reason, TextFact } from "./rules/condition.ts";
export { knownFacts, type ContainerFacts, type GivenFacts } from "./rules/container-facts.ts";
export { hooksConfig, type HooksConfig } from "./config.ts";
export { errors } from "./errors.ts";
export {
  matcherFor,
  type Explanation,
  type Guard,
  type Injection,
  type Matcher,
  type StageHooks,
} from "./rules/injection.ts";
export { loadRules } from "./rules/load-rules.ts";
export type { Plan } from "./rules/plan.ts";
export type { RuleSources } from "./rules/rule-files.ts";
export { openRuleStore, type RuleStore, type RuleStoreOptions } from "./rules/rule-store.ts";
export type { Hook, Hooks, Mount, Rule } from "./rules/rule.ts";
export { hooksPlugin } from "./plugin.ts";
export { hooksService, type HooksService, type NriStatus } from "./service.ts";
export type { MissedContainer } from "./nri/missed.ts";
export { readHookRuns, type HookRun } from "./runs/hook-run.ts";
export { durationMs, summariseRuns, type HookSummary } from "./runs/summary.ts";
export { compileState } from "./runtime/compile-state.ts";
export type { CompiledPlan } from "./runtime/compiled-plan.ts";
export { launcherPath, writeLauncher, type WriteLauncherOptions } from "./runtime/write-launcher.ts";
export { readSpec, type SpecText } from "./spec/spec-text.ts";
export { specFacts } from "./spec/spec-facts.ts";
export { spliceSpec } from "./spec/splice.ts";
export { toolkitPaths, type ToolkitPaths } from "./toolkit/toolkit-paths.ts";
export { stages, type Stage } from "./rules/stage.ts";
