import { Metadata, status, type ServiceError, type StatusObject } from "@grpc/grpc-js";
import {
  AeonError,
  codeOfGrpcStatus,
  grpcStatusOf,
  isAeonError,
  toAeonError,
  type ErrorCode,
} from "@aeon/core";

/** Longest status message sent, in bytes: it travels in a header. */
const messageLimit = 1024;
/** Trailer that carries {@link AeonError.reason} between aeon's own ends. */
const reasonTrailer = "aeon-reason";

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "details" in error && "code" in error && typeof error.code === "number";
}

function reasonOf(error: ServiceError, code: ErrorCode): string {
  const sent = error.metadata?.get(reasonTrailer)[0];
  if (typeof sent === "string" && /^[A-Z][A-Z0-9_]{0,63}$/.test(sent)) return sent;
  return `GRPC_${code.toUpperCase().replaceAll("-", "_")}`;
}

/** What the caller itself set to end a call. */
export interface CallLimits {
  readonly signal?: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly deadline?: number;
}

/**
 * Turns what a grpc-js call failed with into an AeonError that names the call. A call ended by its own signal takes
 * the signal's reason (a timeout becomes `deadline-exceeded`).
 */
export function errorOfStatus(error: unknown, doing: string, limits: CallLimits = {}): AeonError {
  if (!isServiceError(error)) return toAeonError(error, doing);
  return (
    errorOfSignal(error, doing, limits) ?? errorOfDeadline(error, doing, limits) ?? errorOfCode(error, doing)
  );
}

function errorOfSignal(error: ServiceError, doing: string, { signal }: CallLimits): AeonError | undefined {
  const ended = error.code === status.CANCELLED && signal?.aborted === true;
  return ended ? errorOfAbort(signal.reason, doing) : undefined;
}

/** The error of a call that was ended by its signal. */
export function errorOfAbort(reason: unknown, doing: string): AeonError {
  if (isAeonError(reason)) return reason;
  if (reason instanceof Error && reason.name === "TimeoutError") return timeoutOf(doing, reason);
  return new AeonError("canceled", "CANCELED", `${doing}: canceled by the caller`, { cause: reason });
}

/** The server sees the deadline too and may be first to answer; containerd then says `unknown`. */
function errorOfDeadline(
  error: ServiceError,
  doing: string,
  { deadline }: CallLimits,
): AeonError | undefined {
  if (deadline === undefined || Date.now() < deadline) return undefined;
  const ended = [status.UNKNOWN, status.CANCELLED, status.DEADLINE_EXCEEDED].includes(error.code);
  return ended ? timeoutOf(doing, error) : undefined;
}

const timeoutOf = (doing: string, cause: unknown): AeonError =>
  new AeonError("deadline-exceeded", "DEADLINE_EXCEEDED", `${doing}: timed out`, { cause });

function errorOfCode(error: ServiceError, doing: string): AeonError {
  const code = codeOfGrpcStatus(error.code);
  return new AeonError(code, reasonOf(error, code), `${doing}: ${error.details || code}`, {
    cause: error,
    details: { grpcStatus: error.code },
  });
}

/** Cuts to one header-safe line of at most 1 KiB, at a character boundary. */
function headerText(message: string): string {
  const line = message.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();
  const bytes = Buffer.from(line);
  if (bytes.length <= messageLimit) return line;
  const cut = bytes
    .subarray(0, messageLimit - 3)
    .toString()
    .replace(/\uFFFD$/u, "");
  return `${cut}…`;
}

/** Turns what a handler threw into the status a gRPC peer gets; anything but an AeonError is `INTERNAL`. */
export function statusOfError(error: unknown, doing: string): StatusObject {
  const failure = toAeonError(error, doing);
  const metadata = new Metadata();
  metadata.set(reasonTrailer, failure.reason);
  return { code: grpcStatusOf(failure.code), details: headerText(failure.message), metadata };
}
