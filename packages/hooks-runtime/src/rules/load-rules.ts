import { errors } from "../errors.ts";
import { parseJson, showFault, type Fault } from "./json-document.ts";
import { compilePlan, type Plan } from "./plan.ts";
import { readHooksD, readHooksJson, type ReadResult } from "./read-rules.ts";
import { readRuleFiles, type RuleFile, type RuleSources } from "./rule-files.ts";
import type { Rule } from "./rule.ts";

/** Most hooks that all rules may have together. */
const mostHooks = 1000;

/**
 * Reads, checks and compiles all rules. Throws `RULES_INVALID`, whose message has a line `file:line:column: …` for
 * each fault, `RULES_UNREADABLE` or `RULES_UNSAFE`.
 */
export async function loadRules(sources: RuleSources): Promise<Plan> {
  return compileFiles(await readRuleFiles(sources));
}

/** The plan of files that are read already. */
export async function compileFiles(files: readonly RuleFile[]): Promise<Plan> {
  const rules: Rule[] = [];
  const faults: Fault[] = [];
  for (const file of files) {
    const result = await readFile(file);
    if ("faults" in result) faults.push(...result.faults);
    else rules.push(...result.rules);
  }
  faults.push(...namesakes(rules), ...tooMany(rules));
  if (faults.length > 0) throw invalid(faults);
  return compilePlan(rules);
}

async function readFile({ path, name, text }: RuleFile): Promise<ReadResult> {
  const document = parseJson(path, text);
  if (!("file" in document)) return { faults: document };
  return name === undefined ? readHooksJson(document) : readHooksD(document, name);
}

function namesakes(rules: readonly Rule[]): readonly Fault[] {
  const seen = new Map<string, Rule>();
  return rules.flatMap((rule) => {
    const first = seen.get(rule.name);
    seen.set(rule.name, first ?? rule);
    return first === undefined
      ? []
      : [atRule(rule, `name ${rule.name} is taken by the rule at ${first.origin}`)];
  });
}

function tooMany(rules: readonly Rule[]): readonly Fault[] {
  let count = 0;
  for (const rule of rules) {
    count += Object.values(rule.hooks).flat().length;
    if (count > mostHooks) return [atRule(rule, `more than ${mostHooks} hooks`)];
  }
  return [];
}

function atRule({ origin }: Rule, message: string): Fault {
  const colon = origin.lastIndexOf(":");
  return { file: origin.slice(0, colon), line: Number(origin.slice(colon + 1)), column: 1, message };
}

function invalid(faults: readonly Fault[]): Error {
  const [first] = faults;
  const details = first && { file: first.file, line: first.line, column: first.column };
  return errors.RULES_INVALID(faults.map(showFault).join("\n"), { ...(details && { details }) });
}
