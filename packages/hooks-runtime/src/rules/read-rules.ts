import * as v from "valibot";
import { patternsOf, type Condition } from "./condition.ts";
import type { Fault, JsonDocument } from "./json-document.ts";
import { patternFault } from "./pattern.ts";
import type { Hook, Hooks, Rule } from "./rule.ts";
import { conditionOf } from "./when.ts";
import { hooksDSchema, oldHooksDSchema, rulesSchema, stagesSchema, type RuleInput } from "./schema.ts";
import { stages, type Stage } from "./stage.ts";

/** Rules of one file, or what is wrong with it. */
export type ReadResult = { readonly rules: readonly Rule[] } | { readonly faults: readonly Fault[] };

/** The name of the only rule of a `hooks.json` in the toolkit's format. */
export const plainRuleName = "hooks.json";

/**
 * Reads `hooks.json`: aeon's format when it has `rules` or `version`, else the toolkit's, one object of stages whose
 * hooks every container gets.
 */
export function readHooksJson(document: JsonDocument): Promise<ReadResult> {
  return isRich(document.value) ? readRich(document) : readPlain(document);
}

/** Reads a file of a `hooks.d` folder: version 1.0.0, or the older form in which any condition is enough. */
export function readHooksD(document: JsonDocument, name: string): Promise<ReadResult> {
  return isOldHooksD(document.value) ? readOldHooksD(document, name) : readNewHooksD(document, name);
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isRich = (value: unknown): boolean => isObject(value) && ("rules" in value || "version" in value);
const isOldHooksD = (value: unknown): boolean => isObject(value) && typeof value["hook"] === "string";

async function readPlain(document: JsonDocument): Promise<ReadResult> {
  if (isObject(document.value) && "hooks" in document.value)
    return { faults: [document.fault(["hooks"], 'put the stages at the top level, not below "hooks"')] };
  const checked = check(stagesSchema, document);
  if ("faults" in checked) return checked;
  const hooks = hooksOf(checked.value);
  const rule = newRule(document, [], plainRuleName, { kind: "always" }, hooks);
  return { rules: Object.keys(hooks).length === 0 ? [] : [rule] };
}

async function readRich(document: JsonDocument): Promise<ReadResult> {
  const checked = check(rulesSchema, document);
  if ("faults" in checked) return checked;
  const rules = checked.value.rules.map((input, index) => richRule(document, input, index));
  const faults = [
    ...(await patternFaults(document, rules, (index) => ["rules", index, "when"])),
    ...checked.value.rules.flatMap((input, index) => ruleFaults(document, input, index)),
  ];
  return faults.length > 0 ? { faults } : { rules };
}

function richRule(document: JsonDocument, input: RuleInput, index: number): Rule {
  const { name, order, position, onFailure, record, env, mounts, annotations, timeout } = input;
  return {
    ...newRule(document, ["rules", index], name, conditionOf(input.when), hooksOf(input.hooks, timeout)),
    order,
    position,
    onFailure,
    ...(record !== undefined && { record }),
    env,
    mounts: mounts.map(withoutUndefined),
    annotations,
  };
}

function ruleFaults(
  document: JsonDocument,
  { hooks, onFailure }: RuleInput,
  index: number,
): readonly Fault[] {
  if (onFailure === "fail" || hooks.startContainer === undefined) return [];
  const path = ["rules", index, "hooks", "startContainer"];
  return [
    document.fault(
      path,
      'startContainer hooks run inside the container, where their failure cannot be ignored; remove them or onFailure "ignore"',
    ),
  ];
}

async function readNewHooksD(document: JsonDocument, name: string): Promise<ReadResult> {
  const checked = check(hooksDSchema, document);
  if ("faults" in checked) return checked;
  const { hook, when } = checked.value;
  const parts: Condition[] = [];
  if (when.always !== undefined)
    parts.push(when.always ? { kind: "always" } : { kind: "never", why: "always is false" });
  if (when.hasBindMounts !== undefined)
    parts.push(
      when.hasBindMounts
        ? { kind: "bindMounts", present: true }
        : { kind: "never", why: "hasBindMounts is false" },
    );
  parts.push(...pairsOf(when.annotations ?? {}));
  if (when.commands !== undefined && when.commands.length > 0)
    parts.push({ kind: "text", fact: "command", patterns: when.commands });
  const condition: Condition =
    parts.length === 0 ? { kind: "never", why: "when has no condition" } : { kind: "all", of: parts };
  return finish(document, name, condition, hooksDHooks(checked.value.stages, withoutUndefined(hook)));
}

async function readOldHooksD(document: JsonDocument, name: string): Promise<ReadResult> {
  const checked = check(oldHooksDSchema, document);
  if ("faults" in checked) return checked;
  const old = checked.value;
  const named = [...(old.stages ?? []), ...(old.stage ?? [])];
  if (named.length === 0) return { faults: [document.fault([], "must name a stage")] };
  const parts: Condition[] = [];
  if (old.hasbindmounts === true) parts.push({ kind: "bindMounts", present: true });
  for (const value of [...(old.annotations ?? []), ...(old.annotation ?? [])])
    parts.push({ kind: "pair", fact: "annotations", key: ".*", value });
  const patterns = [...(old.cmds ?? []), ...(old.cmd ?? [])];
  if (patterns.length > 0) parts.push({ kind: "text", fact: "command", patterns });
  const hook: Hook = { path: old.hook, ...(old.arguments && { args: [old.hook, ...old.arguments] }) };
  return finish(document, name, { kind: "any", of: parts }, hooksDHooks(named, hook));
}

async function finish(
  document: JsonDocument,
  name: string,
  when: Condition,
  hooks: Hooks,
): Promise<ReadResult> {
  const rules = [newRule(document, [], name, when, hooks)];
  const faults = await patternFaults(document, rules, () => ["when"]);
  return faults.length > 0 ? { faults } : { rules };
}

/** Engines that read `hooks.d` run what it calls prestart as createRuntime. */
function hooksDHooks(named: readonly Stage[], hook: Hook): Hooks {
  const renamed = new Set<Stage>(named.map((stage) => (stage === "prestart" ? "createRuntime" : stage)));
  return Object.fromEntries(stages.filter((stage) => renamed.has(stage)).map((stage) => [stage, [hook]]));
}

const pairsOf = (annotations: Readonly<Record<string, string>>): readonly Condition[] =>
  Object.entries(annotations).map(([key, value]) => ({ kind: "pair", fact: "annotations", key, value }));

function newRule(
  document: JsonDocument,
  path: readonly (string | number)[],
  name: string,
  when: Condition,
  hooks: Hooks,
): Rule {
  const { file, line } = document.fault(path, "");
  const origin = `${file}:${line}`;
  return {
    name,
    origin,
    order: 0,
    position: "last",
    onFailure: "fail",
    when,
    hooks,
    env: [],
    mounts: [],
    annotations: {},
  };
}

type StagesInput = v.InferOutput<typeof stagesSchema>;

function hooksOf(input: StagesInput, timeout?: number): Hooks {
  const entries = stages.flatMap((stage) => {
    const hooks = (input[stage] ?? []).map((hook) =>
      withoutUndefined({ timeout, ...withoutUndefined(hook) }),
    );
    return hooks.length === 0 ? [] : [[stage, hooks] as const];
  });
  return Object.fromEntries(entries);
}

type Defined<T> = { [Key in keyof T]: Exclude<T[Key], undefined> };

function withoutUndefined<T extends object>(value: T): Defined<T> {
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries forgets the keys it was given
  return Object.fromEntries(entries) as Defined<T>;
}

async function patternFaults(
  document: JsonDocument,
  rules: readonly Rule[],
  pathOf: (index: number) => readonly (string | number)[],
): Promise<readonly Fault[]> {
  const faults: Fault[] = [];
  for (const [index, { when }] of rules.entries())
    for (const pattern of patternsOf(when)) {
      const why = await patternFault(pattern);
      if (why !== undefined)
        faults.push(document.fault(pathOf(index), `/${pattern}/ is no RE2 expression: ${why}`));
    }
  return faults;
}

function check<Schema extends v.GenericSchema>(
  schema: Schema,
  document: JsonDocument,
): { readonly value: v.InferOutput<Schema> } | { readonly faults: readonly Fault[] } {
  const result = v.safeParse(schema, document.value);
  if (result.success) return { value: result.output };
  return { faults: result.issues.map((issue) => faultOf(document, issue)) };
}

function faultOf(document: JsonDocument, issue: v.BaseIssue<unknown>): Fault {
  const path = (issue.path ?? []).flatMap(({ key }) =>
    typeof key === "string" || typeof key === "number" ? [key] : [],
  );
  const dotted = path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${key}`))
    .join("")
    .replace(/^\./, "");
  return document.fault(path, dotted === "" ? sentence(issue) : `${dotted}: ${sentence(issue)}`);
}

function sentence(issue: v.BaseIssue<unknown>): string {
  if (issue.type !== "strict_object") return issue.message;
  if (issue.expected === "never") return "unknown key";
  return "missing";
}
