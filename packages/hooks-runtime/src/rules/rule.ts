import type { Condition } from "./condition.ts";
import type { Stage } from "./stage.ts";

/** One program of a stage, as the OCI runtime specification has it. */
export interface Hook {
  /** Absolute. */
  readonly path: string;
  /** Includes the program's own name first. */
  readonly args?: readonly string[];
  /** `NAME=value`; the runtime's whole environment when absent. */
  readonly env?: readonly string[];
  /** Whole seconds, at least 1, until the runtime kills it. */
  readonly timeout?: number;
}

export type Hooks = Readonly<Partial<Record<Stage, readonly Hook[]>>>;

/** A mount of the OCI runtime specification. */
export interface Mount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
}

/** What is done to the containers that a condition picks. */
export interface Rule {
  /** Unique among the rules in force. */
  readonly name: string;
  /** File and line the rule was read from. */
  readonly origin: string;
  /** Lower ones come first; equal ones in the order they were read. */
  readonly order: number;
  /** Before or after hooks that the container has already. */
  readonly position: "first" | "last";
  /** Whether a failing hook fails the container. */
  readonly onFailure: "fail" | "ignore";
  /** Whether runs of its hooks are kept; as configured when absent. */
  readonly record?: boolean;
  readonly when: Condition;
  readonly hooks: Hooks;
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly mounts: readonly Mount[];
  readonly annotations: Readonly<Record<string, string>>;
}
