import {
  AeonError,
  isAeonError,
  toAeonError,
  type AeonErrorOptions,
  type ErrorCode,
  type SnapshotOperation,
} from "@aeon/core";
import { errors } from "../errors.ts";

/** Why a hook's function did not do its part; the label of the failure metric. */
export type FailureCause = "threw" | "timed-out" | "garbage" | "hanging" | "canceled";

/** One hook function as failures, metrics and logs name it. */
export interface FunctionName {
  readonly hook: string;
  /** Such as `preMounts`. */
  readonly function: string;
}

export interface HookFailure {
  readonly cause: FailureCause;
  readonly error: unknown;
}

type Outcome = "unavailable" | "failed-precondition" | "internal" | "canceled";

/**
 * What containerd is told for each code a hook throws. not-found and already-exists mean something else to
 * containerd (unpack the image again, adopt another snapshot), so a hook can never cause them.
 */
const outcomes: Readonly<Partial<Record<ErrorCode, Outcome>>> = {
  "failed-precondition": "failed-precondition",
  "permission-denied": "failed-precondition",
  unauthenticated: "failed-precondition",
  "invalid-argument": "failed-precondition",
  "out-of-range": "failed-precondition",
  unavailable: "unavailable",
  "resource-exhausted": "unavailable",
  "deadline-exceeded": "unavailable",
  aborted: "unavailable",
};

const factories = {
  unavailable: errors.HOOK_UNAVAILABLE,
  "failed-precondition": errors.HOOK_REFUSED,
  internal: errors.HOOK_FAILED,
} as const;

/** The error that a call fails with because of a hook whose policy is `fail`. */
export function callError(failure: HookFailure, name: FunctionName, operation: SnapshotOperation): AeonError {
  const { cause, error } = failure;
  const outcome = outcomeOf(failure, operation);
  if (isAeonError(error, outcome)) return error;
  const options: AeonErrorOptions = { cause: error, details: { ...name, cause } };
  if (outcome === "canceled") return toAeonError(error, `snapshot ${operation}`);
  // The text ends with the hook's name: containerd reads meaning into how some messages end.
  return factories[outcome](
    `${toAeonError(error, cause).message.slice(0, 1024)} (hook ${name.hook}, ${name.function})`,
    options,
  );
}

function outcomeOf({ cause, error }: HookFailure, operation: SnapshotOperation): Outcome {
  if (cause === "canceled") return "canceled";
  const code = cause === "threw" && error instanceof AeonError ? error.code : undefined;
  const outcome =
    cause === "timed-out" || cause === "hanging" ? "unavailable" : (code && outcomes[code]) || "internal";
  // containerd's garbage collector ends its pass at any other failure of Remove, for every snapshot.
  return operation === "remove" ? "failed-precondition" : outcome;
}

/** An error of the backend as the hooks and the caller see it. */
export function backendError(error: unknown, operation: SnapshotOperation): AeonError {
  const mapped = toAeonError(error, `snapshot ${operation}`);
  if (error instanceof AeonError || (mapped.code !== "not-found" && mapped.code !== "already-exists"))
    return mapped;
  // A stray ENOENT is no answer about the snapshot that was asked for.
  return new AeonError("internal", mapped.reason, mapped.message, { cause: error });
}
