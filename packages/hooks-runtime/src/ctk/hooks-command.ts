import { access, constants, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Condition } from "../rules/condition.ts";
import type { ContainerFacts } from "../rules/container-facts.ts";
import { matcherFor } from "../rules/injection.ts";
import { compileFiles, loadRules } from "../rules/load-rules.ts";
import type { Plan } from "../rules/plan.ts";
import { readRuleFile } from "../rules/rule-files.ts";
import { stages } from "../rules/stage.ts";
import { compileState } from "../runtime/compile-state.ts";
import { errors } from "../errors.ts";
import { specFacts } from "../spec/spec-facts.ts";
import { readSpec } from "../spec/spec-text.ts";
import { readToolkitConfig } from "../toolkit/toolkit-config.ts";
import type { CtkContext } from "./context.ts";

/** `hooks validate`: checks the rules in force, or one file; warns of hooks whose program is not there. */
export async function validateHooks(file: string | undefined, context: CtkContext): Promise<void> {
  const plan = file === undefined ? await rulesOf(context) : await rulesInFile(file);
  for (const { name, hooks } of plan.rules)
    for (const stage of stages)
      for (const { path } of stage === "startContainer" ? [] : (hooks[stage] ?? []))
        if (!(await isProgram(path)))
          context.log.warn(`rule ${name}: ${stage} hook ${path} is no program on this host`);
  context.print(`${plan.rules.length} rules are valid\n`);
}

/** `hooks list`. */
export async function listHooks(json: boolean, context: CtkContext): Promise<void> {
  const { rules } = await rulesOf(context);
  if (json) return context.print(`${JSON.stringify(rules, undefined, 2)}\n`);
  for (const { name, origin, order, onFailure, when, hooks } of rules) {
    const counts = stages.flatMap((stage) => (hooks[stage] ? [`${stage} ${hooks[stage].length}`] : []));
    context.print(
      `${name}  order ${order}  on failure ${onFailure}  for ${describe(when)}  ${counts.join(", ")}  (${origin})\n`,
    );
  }
}

/** `hooks explain`: which rules a container would get, and why. */
export async function explainHooks(facts: ContainerFacts, json: boolean, context: CtkContext): Promise<void> {
  const matcher = await matcherFor(await rulesOf(context));
  const explanations = matcher.explain(facts);
  if (json) {
    const rules = explanations.map(({ rule: { name, origin }, applies, reasons }) => ({
      name,
      origin,
      applies: applies ?? null,
      reasons,
    }));
    return context.print(
      `${JSON.stringify({ facts, rules, injection: matcher.injectionFor(facts) }, undefined, 2)}\n`,
    );
  }
  for (const { rule, applies, reasons } of explanations) {
    const answer = applies === undefined ? "unknown" : applies ? "yes" : "no";
    context.print(`${answer.padEnd(8)}${rule.name}: ${reasons.map(({ text }) => text).join("; ")}\n`);
  }
}

/** `hooks apply`: checks the rules and puts them into force at once. */
export async function applyHooks(context: CtkContext): Promise<void> {
  const { plan } = await compileState(context.paths);
  context.log.info(`${plan.rules.length} rules are in force`);
}

/** The facts in a bundle's config.json. Throws `SPEC_UNUSABLE`. */
export async function bundleFacts(bundle: string): Promise<ContainerFacts> {
  const spec = readSpec(await readFile(join(bundle, "config.json")));
  if (spec === undefined) throw errors.SPEC_UNUSABLE(`${bundle}/config.json is no runtime specification`);
  return specFacts(spec);
}

async function rulesOf({ paths }: CtkContext): Promise<Plan> {
  const { hooks, hooksD } = await readToolkitConfig(paths);
  return loadRules({ file: hooks, hooksD });
}

async function rulesInFile(path: string): Promise<Plan> {
  const file = await readRuleFile(path);
  if (file === undefined) throw errors.RULES_UNREADABLE(`${path} does not exist`);
  return compileFiles([file]);
}

const isProgram = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

function describe(condition: Condition): string {
  if (condition.kind === "always") return "all containers";
  return condition.kind === "never" ? "none" : "some containers";
}
