import type { ContainerFacts } from "./container-facts.ts";
import { judge, patternsOf, type Answer, type Reason, type TestPattern } from "./condition.ts";
import { patternTest } from "./pattern.ts";
import type { Plan } from "./plan.ts";
import type { Hook, Mount, Rule } from "./rule.ts";
import { stages, type Stage } from "./stage.ts";

/** Hooks of a stage, around those that a container has already. */
export interface StageHooks {
  readonly first: readonly Hook[];
  readonly last: readonly Hook[];
}

/** What one container gets. */
export interface Injection {
  /** Names of the rules it comes from. */
  readonly rules: readonly string[];
  readonly hooks: Readonly<Partial<Record<Stage, StageHooks>>>;
  readonly env: readonly string[];
  readonly mounts: readonly Mount[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** Whether a rule applies to a container, and why. */
export interface Explanation {
  readonly rule: Rule;
  /** Undefined when the engine does not tell enough; the rule does not apply then. */
  readonly applies: Answer;
  readonly reasons: readonly Reason[];
}

/** A plan ready to be asked about containers. */
export interface Matcher {
  readonly plan: Plan;
  explain(facts: ContainerFacts): readonly Explanation[];
  injectionFor(facts: ContainerFacts): Injection;
}

/** How a hook of a rule is to run: as it is, or below something that watches it. */
export type Guard = (hook: Hook, rule: Rule, stage: Stage, facts: ContainerFacts) => Hook;

/** Loads what the plan's expressions need; `guard` may wrap hooks. */
export async function matcherFor(plan: Plan, guard: Guard = (hook) => hook): Promise<Matcher> {
  const test = await patternTest(plan.rules.flatMap(({ when }) => patternsOf(when)));
  return {
    plan,
    explain: (facts) => plan.rules.map((rule) => explainRule(rule, facts, test)),
    injectionFor: (facts) =>
      merge(
        plan.rules.filter((rule) => judge(rule.when, facts, test).answer === true),
        (hook, rule, stage) => guard(hook, rule, stage, facts),
      ),
  };
}

function explainRule(rule: Rule, facts: ContainerFacts, test: TestPattern): Explanation {
  const { answer, reasons } = judge(rule.when, facts, test);
  return { rule, applies: answer, reasons };
}

type Wrap = (hook: Hook, rule: Rule, stage: Stage) => Hook;

function merge(rules: readonly Rule[], guard: Wrap): Injection {
  return {
    rules: rules.map(({ name }) => name),
    hooks: Object.fromEntries(
      stages.flatMap((stage) => {
        const first = hooksAt(rules, stage, "first", guard);
        const last = hooksAt(rules, stage, "last", guard);
        return first.length + last.length === 0 ? [] : [[stage, { first, last }]];
      }),
    ),
    env: rules.flatMap(({ env }) => env),
    mounts: rules.flatMap(({ mounts }) => mounts),
    annotations: Object.assign({}, ...rules.map(({ annotations }) => annotations)),
  };
}

const hooksAt = (
  rules: readonly Rule[],
  stage: Stage,
  position: Rule["position"],
  guard: Wrap,
): readonly Hook[] =>
  rules
    .filter((rule) => rule.position === position)
    .flatMap((rule) => (rule.hooks[stage] ?? []).map((hook) => guard(hook, rule, stage)));
