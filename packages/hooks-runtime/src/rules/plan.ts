import { createHash } from "node:crypto";
import { isMarker } from "./marker.ts";
import type { Hooks, Rule } from "./rule.ts";
import { stages } from "./stage.ts";

/** All rules in force, checked and in their order; never changes. */
export interface Plan {
  readonly version: 1;
  /** Tells plans apart: same rules, same text. */
  readonly digest: string;
  readonly rules: readonly Rule[];
}

/** Puts rules in their order. Marker hooks are left out: aeon sees by itself what a container has already. */
export function compilePlan(rules: readonly Rule[]): Plan {
  const ordered = rules.map(withoutMarkers).toSorted((a, b) => a.order - b.order);
  const digest = createHash("sha256").update(JSON.stringify(ordered)).digest("hex").slice(0, 16);
  return deepFreeze({ version: 1, digest, rules: ordered });
}

const withoutMarkers = (rule: Rule): Rule => ({ ...rule, hooks: unmarked(rule.hooks) });

function unmarked(hooks: Hooks): Hooks {
  const entries = stages.flatMap((stage) => {
    const kept = (hooks[stage] ?? []).filter((hook) => !isMarker(hook));
    return kept.length === 0 ? [] : [[stage, kept] as const];
  });
  return Object.fromEntries(entries);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
