/**
 * The closed set of reasons an operation can fail: gRPC's canonical codes in kebab case. Callers branch on
 * these or on {@link AeonError.reason}, never on messages.
 */
export type ErrorCode =
  | "canceled"
  | "unknown"
  | "invalid-argument"
  | "deadline-exceeded"
  | "not-found"
  | "already-exists"
  | "permission-denied"
  | "resource-exhausted"
  | "failed-precondition"
  | "aborted"
  | "out-of-range"
  | "unimplemented"
  | "internal"
  | "unavailable"
  | "data-loss"
  | "unauthenticated";

/** Values small and plain enough for a log line or an error detail. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

export interface AeonErrorOptions extends ErrorOptions {
  readonly details?: ErrorDetails;
}

/**
 * An expected failure: what happened to which object (message), a stable identifier for people and scripts
 * (`reason`, listed in docs/errors.md) and the code that crosses gRPC and HTTP boundaries.
 */
export class AeonError extends Error {
  override readonly name = "AeonError";
  readonly code: ErrorCode;
  readonly reason: string;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, reason: string, message: string, options: AeonErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.reason = reason;
    this.details = Object.freeze({ ...options.details });
  }
}

/** True for an {@link AeonError}, and of the given code or reason when one is given. */
export function isAeonError(error: unknown, codeOrReason?: string): error is AeonError {
  return (
    error instanceof AeonError &&
    (codeOrReason === undefined || error.code === codeOrReason || error.reason === codeOrReason)
  );
}

/** One line of an error catalogue. */
export interface ErrorEntry {
  readonly code: ErrorCode;
  /** When it happens, for the reference page. */
  readonly when: string;
  /** What the reader can do, for the reference page. */
  readonly remedy: string;
}

export type ErrorFactory = (message: string, options?: AeonErrorOptions) => AeonError;

/** A package's errors by reason; `entries` feeds docs/errors.md. */
export type ErrorCatalogue<Reason extends string> = Readonly<Record<Reason, ErrorFactory>> & {
  readonly entries: Readonly<Record<Reason, ErrorEntry>>;
};

/**
 * Declares the errors of a package. Each reason becomes a factory:
 * `throw errors.SNAPSHOT_NOT_FOUND("snapshot x does not exist", { details: { key: "x" } })`.
 */
export function defineErrors<const Table extends Readonly<Record<string, ErrorEntry>>>(
  table: Table,
): ErrorCatalogue<keyof Table & string> {
  const catalogue: Record<string, unknown> = { entries: table };
  for (const [reason, { code }] of Object.entries(table)) {
    const factory: ErrorFactory = (message, options) => new AeonError(code, reason, message, options);
    catalogue[reason] = factory;
  }
  assertCatalogue<keyof Table & string>(catalogue);
  return catalogue;
}

function assertCatalogue<Reason extends string>(
  _catalogue: unknown,
): asserts _catalogue is ErrorCatalogue<Reason> {}

/** The message of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
