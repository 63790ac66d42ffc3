import { AeonError, errorMessage, type ErrorCode } from "./error.ts";

/** gRPC status numbers (grpc/grpc doc/statuscodes.md) and the HTTP status Connect uses for the same code. */
const table = {
  canceled: { grpc: 1, http: 499 },
  unknown: { grpc: 2, http: 500 },
  "invalid-argument": { grpc: 3, http: 400 },
  "deadline-exceeded": { grpc: 4, http: 504 },
  "not-found": { grpc: 5, http: 404 },
  "already-exists": { grpc: 6, http: 409 },
  "permission-denied": { grpc: 7, http: 403 },
  "resource-exhausted": { grpc: 8, http: 429 },
  "failed-precondition": { grpc: 9, http: 400 },
  aborted: { grpc: 10, http: 409 },
  "out-of-range": { grpc: 11, http: 400 },
  unimplemented: { grpc: 12, http: 501 },
  internal: { grpc: 13, http: 500 },
  unavailable: { grpc: 14, http: 503 },
  "data-loss": { grpc: 15, http: 500 },
  unauthenticated: { grpc: 16, http: 401 },
} as const satisfies Record<ErrorCode, { grpc: number; http: number }>;

const isErrorCode = (name: string): name is ErrorCode => name in table;

const byGrpc = new Map<number, ErrorCode>(
  Object.keys(table)
    .filter(isErrorCode)
    .map((code) => [table[code].grpc, code]),
);

export const grpcStatusOf = (code: ErrorCode): number => table[code].grpc;
export const httpStatusOf = (code: ErrorCode): number => table[code].http;
/** Unknown numbers become `unknown`, as every gRPC client does. */
export const codeOfGrpcStatus = (status: number): ErrorCode => byGrpc.get(status) ?? "unknown";

const errnoCodes: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not-found",
  EEXIST: "already-exists",
  EACCES: "permission-denied",
  EPERM: "permission-denied",
  EROFS: "failed-precondition",
  ENOSPC: "resource-exhausted",
  EDQUOT: "resource-exhausted",
  EMFILE: "resource-exhausted",
  ENFILE: "resource-exhausted",
  ENOMEM: "resource-exhausted",
  EINVAL: "invalid-argument",
  ENAMETOOLONG: "invalid-argument",
  EBUSY: "unavailable",
  EAGAIN: "unavailable",
  ECONNREFUSED: "unavailable",
  ECONNRESET: "unavailable",
  EPIPE: "unavailable",
  ETIMEDOUT: "deadline-exceeded",
  EIO: "data-loss",
};

/** The errno name (`ENOENT`) of a Node system error, if it is one. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" && /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined;
}

/**
 * Gives any thrown value a code. `doing` names what was being done and to what. AeonErrors pass unchanged;
 * aborts become `canceled`; errno values are mapped; anything else is `internal` and keeps its cause.
 */
export function toAeonError(error: unknown, doing: string): AeonError {
  if (error instanceof AeonError) return error;
  const message = `${doing}: ${errorMessage(error)}`;
  const errno = errnoOf(error);
  if (errno !== undefined)
    return new AeonError(errnoCodes[errno] ?? "internal", `SYSTEM_${errno}`, message, { cause: error });
  if (error instanceof Error && error.name === "TimeoutError")
    return new AeonError("deadline-exceeded", "DEADLINE_EXCEEDED", message, { cause: error });
  if (error instanceof Error && error.name === "AbortError")
    return new AeonError("canceled", "CANCELED", message, { cause: error });
  return new AeonError("internal", "INTERNAL", message, { cause: error });
}
