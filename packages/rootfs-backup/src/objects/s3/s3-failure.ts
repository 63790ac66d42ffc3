import { errnoOf, errorMessage, type AeonError } from "@aeon/core";
import { errors } from "../../errors.ts";
import { TransportError } from "./transport.ts";

/**
 * What a failed request means: `transient` may succeed when tried again, `denied` needs other credentials or rights,
 * `refused` another configuration.
 */
export type FailureKind = "transient" | "denied" | "refused";

/** A failed request, told without anything secret; the S3 client's own errors carry whole answers. */
export class S3Failure extends Error {
  override readonly name = "S3Failure";
  readonly kind: FailureKind;
  /** S3's error code or the system's errno, where there is one. */
  readonly code: string | undefined;

  constructor(kind: FailureKind, message: string, code?: string) {
    super(message);
    this.kind = kind;
    this.code = code;
  }
}

const deniedCodes: ReadonlySet<string> = new Set([
  "AccessDenied",
  "AccountProblem",
  "AllAccessDisabled",
  "ExpiredToken",
  "InvalidAccessKeyId",
  "InvalidToken",
  "RequestTimeTooSkewed",
  "SignatureDoesNotMatch",
]);

/** Answers to a request that was damaged or lost on its way, or that came at a bad moment. */
const transientCodes: ReadonlySet<string> = new Set([
  "BadDigest",
  "ConditionalRequestConflict",
  "IncompleteBody",
  "InternalError",
  "OperationAborted",
  "RequestTimeout",
  "ServiceUnavailable",
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "TooManyRequests",
  "XAmzContentSHA256Mismatch",
]);

/** Codes of the certificate check, which no further attempt changes. */
const certificateCode = /^(CERT_|ERR_TLS_CERT|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH)/;

/** Tells what a failure of the S3 client or of the network means. */
export function failureOf(error: unknown): S3Failure {
  if (error instanceof S3Failure) return error;
  if (error instanceof TransportError) return new S3Failure("transient", error.message);
  const code = codeOf(error);
  const text = `${code === undefined ? "" : `${code}: `}${errorMessage(error)}`;
  if (isAnswer(error)) return new S3Failure(kindOfAnswer(code), text, code);
  if (code !== undefined && certificateCode.test(code)) return new S3Failure("refused", text, code);
  // Resets, refusals, unresolved names, answers that are no HTTP or no XML: the way to the store is in trouble.
  return new S3Failure("transient", text, code);
}

/** The failure that an answer of the store names. */
export const answerFailure = (code: string, message: string): S3Failure =>
  new S3Failure(kindOfAnswer(code), `${code}: ${message}`, code);

function kindOfAnswer(code: string | undefined): FailureKind {
  if (code === undefined || transientCodes.has(code)) return "transient";
  return deniedCodes.has(code) ? "denied" : "refused";
}

/** The S3 client's error for an answer that was not expected. */
const isAnswer = (error: unknown): boolean =>
  error instanceof Error && (error.name === "S3Error" || error.constructor.name === "S3Error");

function codeOf(error: unknown): string | undefined {
  const errno = errnoOf(error);
  if (errno !== undefined) return errno;
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** The error that leaves this store: `STORE_UNREACHABLE`, `STORE_DENIED` or `STORE_UNUSABLE`. */
export function storeError({ kind, message, code }: S3Failure, what: string, location: string): AeonError {
  const text = `${what} in ${location}: ${message}`;
  const options = { details: { location, ...(code !== undefined && { code }) } };
  if (kind === "denied") return errors.STORE_DENIED(text, options);
  return kind === "refused" ? errors.STORE_UNUSABLE(text, options) : errors.STORE_UNREACHABLE(text, options);
}
