import type { ErrorCode } from "@aeon/core";

/** What `aeonctl` exits with. Documented in its `--help`; scripts rely on it, so numbers never change. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  unavailable: 4,
  precondition: 5,
  forbidden: 6,
  interrupted: 130,
} as const;

/** Text of the exit codes for `--help` and the reference page. */
export const exitCodeMeanings: readonly (readonly [number, string])[] = [
  [exitCodes.ok, "done"],
  [exitCodes.failure, "failed in a way that is not listed here"],
  [exitCodes.usage, "wrong use: unknown command or option, or a value that cannot be"],
  [exitCodes.notFound, "the snapshot, container or backup does not exist"],
  [exitCodes.unavailable, "the agent, or the part of it that was asked, does not answer; try again later"],
  [exitCodes.precondition, "not possible in the present state"],
  [exitCodes.forbidden, "not allowed"],
  [exitCodes.interrupted, "interrupted"],
];

const byCode: Partial<Record<ErrorCode, number>> = {
  "invalid-argument": exitCodes.usage,
  "out-of-range": exitCodes.usage,
  "not-found": exitCodes.notFound,
  unavailable: exitCodes.unavailable,
  "deadline-exceeded": exitCodes.unavailable,
  "resource-exhausted": exitCodes.unavailable,
  "already-exists": exitCodes.precondition,
  "failed-precondition": exitCodes.precondition,
  aborted: exitCodes.precondition,
  "permission-denied": exitCodes.forbidden,
  unauthenticated: exitCodes.forbidden,
  canceled: exitCodes.interrupted,
};

/** The exit code of Connect's name of a code, such as `not_found`. */
export const exitCodeOfName = (name: string): number =>
  new Map<string, number>(Object.entries(byCode)).get(name.replaceAll("_", "-")) ?? exitCodes.failure;

export const exitCodeOf = (code: ErrorCode): number => byCode[code] ?? exitCodes.failure;
