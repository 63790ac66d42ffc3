import { capability, type Capability, type Health } from "@aeon/core";
import type { MissedContainer } from "./nri/missed.ts";
import type { ContainerFacts } from "./rules/container-facts.ts";
import type { Explanation } from "./rules/injection.ts";
import type { Plan } from "./rules/plan.ts";
import type { HookRun } from "./runs/hook-run.ts";

/** What the agent's part of NRI knows of the runtime. */
export interface NriStatus {
  readonly socket: string;
  readonly health: Health;
  /** Name and version; empty before the first registration. */
  readonly runtime: string;
  /** Whether the runtime refuses containers while aeon is away; undefined when it does not tell. */
  readonly failClosed: boolean | undefined;
  /** Running containers that rules are for but that started while nobody injected them. */
  readonly missed: readonly MissedContainer[];
}

/** The hooks of one host, as the admin API shows them. */
export interface HooksService {
  /** The rules in force, and why the files as they are now are not. */
  rules(): Promise<{ readonly plan: Plan; readonly failure?: string | undefined }>;
  explain(facts: ContainerFacts): Promise<readonly Explanation[]>;
  /** Kept runs, the latest first. */
  runs(): Promise<readonly HookRun[]>;
  /** Undefined while NRI is turned off, or neither rules nor a runtime with NRI are there. */
  nri(): NriStatus | undefined;
}

/** Provided by the plugin `hooks`. */
export const hooksService: Capability<HooksService> = capability("hooks-service");
