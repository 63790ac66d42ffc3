import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Plan } from "../rules/plan.ts";
import type { ToolkitConfig } from "../toolkit/toolkit-config.ts";

/** The last good rules and what the helper needs besides, as kept in the state folder. */
export interface CompiledPlan {
  readonly plan: Plan;
  readonly log: Pick<ToolkitConfig, "log" | "logLevel">;
  readonly record: boolean;
}

export const compiledPlanPath = (state: string): string => join(state, "plan.json");
/** The same plan for the launcher. */
export const planScriptPath = (state: string): string => join(state, "plan.sh");

/** Undefined when there is none yet, or it was written by another version. */
export async function readCompiledPlan(state: string): Promise<CompiledPlan | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(compiledPlanPath(state), "utf8"));
    return isCompiledPlan(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The file is this package's own: its version tells whether it is understood. */
function isCompiledPlan(value: unknown): value is CompiledPlan {
  if (
    typeof value !== "object" ||
    value === null ||
    !("plan" in value) ||
    !("log" in value) ||
    !("record" in value)
  )
    return false;
  const { plan } = value;
  return typeof plan === "object" && plan !== null && "version" in plan && plan.version === 1;
}
