import { AeonError, errnoOf, errorMessage, isAeonError, toAeonError } from "@aeon/core";

/** Codes that tell containerd something about a snapshot; only a snapshotter may say that. */
const aboutSnapshots = new Set<string>(["not-found", "already-exists"]);

/**
 * The error that containerd gets. A failure that no snapshotter judged never turns into `not-found` or
 * `already-exists`, on which containerd would pull images anew or give up a key.
 */
export function replyError(error: unknown, doing: string): AeonError {
  const failure = toAeonError(error, doing);
  const judged = isAeonError(error) && !error.reason.startsWith("SYSTEM_");
  if (judged || !aboutSnapshots.has(failure.code)) return failure;
  return new AeonError("internal", failure.reason, failure.message, { cause: error });
}

/** True for failures worth a line in the log: the caller alone cannot have caused them. */
export function isOurFault(error: AeonError): boolean {
  return ["internal", "unknown", "data-loss", "unavailable", "resource-exhausted"].includes(error.code);
}

/** What an unexpected failure looks like in the log. */
export function failureFacts(error: AeonError): Record<string, unknown> {
  return {
    code: error.code,
    reason: error.reason,
    error: error.message,
    ...(error.cause === undefined ? {} : { cause: errorMessage(error.cause), errno: errnoOf(error.cause) }),
  };
}
