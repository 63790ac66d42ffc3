import type { Condition, TextFact } from "./condition.ts";
import type { When } from "./schema.ts";

const textKeys = [
  ["namespaces", "namespace"],
  ["pods", "pod"],
  ["containers", "container"],
  ["images", "image"],
  ["commands", "command"],
  ["runtimeHandlers", "runtimeHandler"],
] as const satisfies readonly (readonly [keyof When, TextFact])[];

/** The condition of a rule in aeon's format; a rule without `when` is for every container. */
export function conditionOf(when: When | undefined): Condition {
  const parts = when === undefined ? [] : partsOf(when);
  const [only] = parts;
  if (only === undefined) return { kind: "always" };
  return parts.length === 1 ? only : { kind: "all", of: parts };
}

function partsOf(when: When): readonly Condition[] {
  const parts: Condition[] = [];
  if (when.always !== undefined)
    parts.push(when.always ? { kind: "always" } : { kind: "never", why: "always is false" });
  for (const [key, fact] of textKeys) {
    const patterns = when[key];
    if (patterns !== undefined) parts.push({ kind: "text", fact, patterns });
  }
  for (const fact of ["annotations", "labels"] as const)
    for (const [key, value] of Object.entries(when[fact] ?? {}))
      parts.push({ kind: "pair", fact, key, value });
  if (when.hasBindMounts !== undefined) parts.push({ kind: "bindMounts", present: when.hasBindMounts });
  if (when.role !== undefined) parts.push({ kind: "role", role: when.role });
  if (when.not !== undefined) parts.push({ kind: "not", of: conditionOf(when.not) });
  return parts;
}
