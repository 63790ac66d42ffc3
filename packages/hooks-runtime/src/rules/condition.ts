import type { ContainerFacts } from "./container-facts.ts";

/** Facts that are one text each. */
export type TextFact = "namespace" | "pod" | "container" | "image" | "command" | "runtimeHandler";

/** Which containers a rule is for. Patterns are RE2 expressions that may match anywhere in a text. */
export type Condition =
  | { readonly kind: "always" }
  | { readonly kind: "never"; readonly why: string }
  | { readonly kind: "all"; readonly of: readonly Condition[] }
  | { readonly kind: "any"; readonly of: readonly Condition[] }
  | { readonly kind: "not"; readonly of: Condition }
  | { readonly kind: "text"; readonly fact: TextFact; readonly patterns: readonly string[] }
  | {
      readonly kind: "pair";
      readonly fact: "annotations" | "labels";
      readonly key: string;
      readonly value: string;
    }
  | { readonly kind: "bindMounts"; readonly present: boolean }
  | { readonly kind: "role"; readonly role: NonNullable<ContainerFacts["role"]> };

/** True or false, or undefined when the engine does not tell what the condition asks about. */
export type Answer = boolean | undefined;

/** A part of a condition that decided, in words. */
export interface Reason {
  readonly text: string;
  readonly answer: Answer;
}

export interface Verdict {
  readonly answer: Answer;
  readonly reasons: readonly Reason[];
}

/** Tests whether a pattern matches anywhere in a text. */
export type TestPattern = (pattern: string, text: string) => boolean;

/**
 * Asks a condition about a container. An unknown fact leaves the answer open, also when negated: rules apply only
 * where they surely match.
 */
export function judge(condition: Condition, facts: ContainerFacts, test: TestPattern): Verdict {
  switch (condition.kind) {
    case "always":
      return single("always", true);
    case "never":
      return single(condition.why, false);
    case "all":
      return combine(condition.of, facts, test, false);
    case "any":
      return combine(condition.of, facts, test, true);
    case "not":
      return negate(judge(condition.of, facts, test));
    case "text":
      return judgeText(condition, facts[condition.fact], test);
    case "pair":
      return judgePair(condition, facts[condition.fact], test);
    case "bindMounts":
      return single(
        condition.present ? "has bind mounts" : "has no bind mounts",
        facts.hasBindMounts === undefined ? undefined : facts.hasBindMounts === condition.present,
      );
    case "role":
    default:
      return single(
        `is a pod's ${condition.role}`,
        facts.role === undefined ? undefined : facts.role === condition.role,
      );
  }
}

/** Every pattern that a condition holds, for checks and for loading the engine that tests them. */
export function patternsOf(condition: Condition): readonly string[] {
  switch (condition.kind) {
    case "all":
    case "any":
      return condition.of.flatMap(patternsOf);
    case "not":
      return patternsOf(condition.of);
    case "text":
      return condition.patterns;
    case "pair":
      return [condition.key, condition.value];
    case "always":
    case "never":
    case "bindMounts":
    case "role":
    default:
      return [];
  }
}

const single = (text: string, answer: Answer): Verdict => ({ answer, reasons: [{ text, answer }] });

/** `decisive` is the answer of a part that settles the whole. */
function combine(
  of: readonly Condition[],
  facts: ContainerFacts,
  test: TestPattern,
  decisive: boolean,
): Verdict {
  const parts = of.map((part) => judge(part, facts, test));
  const settled = parts.find(({ answer }) => answer === decisive);
  if (settled !== undefined) return settled;
  const open = parts.find(({ answer }) => answer === undefined);
  if (open !== undefined) return open;
  return { answer: !decisive, reasons: parts.flatMap(({ reasons }) => reasons) };
}

const negate = ({ answer, reasons }: Verdict): Verdict => ({
  answer: answer === undefined ? undefined : !answer,
  reasons: reasons.map(({ text, answer: part }) => ({
    text: `not: ${text}`,
    answer: part === undefined ? undefined : !part,
  })),
});

function judgeText(
  { fact, patterns }: Extract<Condition, { kind: "text" }>,
  text: string | undefined,
  test: TestPattern,
): Verdict {
  const wanted = patterns.map((pattern) => `/${pattern}/`).join(" or ");
  if (text === undefined) return single(`${fact} is not known here; wanted ${wanted}`, undefined);
  return single(
    `${fact} ${JSON.stringify(text)} against ${wanted}`,
    patterns.some((pattern) => test(pattern, text)),
  );
}

function judgePair(
  { fact, key, value }: Extract<Condition, { kind: "pair" }>,
  pairs: Readonly<Record<string, string>> | undefined,
  test: TestPattern,
): Verdict {
  const wanted = `/${key}/ with value /${value}/`;
  if (pairs === undefined) return single(`${fact} are not known here; wanted ${wanted}`, undefined);
  const found = Object.entries(pairs).find(([name, text]) => test(key, name) && test(value, text));
  if (found === undefined) return single(`none of its ${fact} is ${wanted}`, false);
  return single(`${fact} hold ${found[0]}=${JSON.stringify(found[1])}, which is ${wanted}`, true);
}
