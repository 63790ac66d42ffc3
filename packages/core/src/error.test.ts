import { statSync } from "node:fs";
import { expect, test } from "vitest";
import { codeOfGrpcStatus, errnoOf, grpcStatusOf, httpStatusOf, toAeonError } from "./error-codes.ts";
import { AeonError, defineErrors, isAeonError, type ErrorCode } from "./error.ts";
import { errors } from "./errors.ts";
import { LinuxError } from "./linux/linux-error.ts";

const codes: readonly ErrorCode[] = [
  "canceled",
  "unknown",
  "invalid-argument",
  "deadline-exceeded",
  "not-found",
  "already-exists",
  "permission-denied",
  "resource-exhausted",
  "failed-precondition",
  "aborted",
  "out-of-range",
  "unimplemented",
  "internal",
  "unavailable",
  "data-loss",
  "unauthenticated",
];

test("codes are gRPC's, in its order, and survive the way there and back", () => {
  expect(codes.map(grpcStatusOf)).toEqual(codes.map((_, index) => index + 1));
  expect(codes.map((code) => codeOfGrpcStatus(grpcStatusOf(code)))).toEqual(codes);
  expect(codeOfGrpcStatus(99)).toBe("unknown");
  for (const code of codes) expect(httpStatusOf(code)).toBeGreaterThanOrEqual(400);
});

test("a catalogue makes errors with code, reason, details and cause", () => {
  const catalogue = defineErrors({ GONE: { code: "not-found", when: "w", remedy: "r" } });
  const cause = new Error("why");
  const error = catalogue.GONE("x is gone", { cause, details: { key: "x" } });
  expect(error).toMatchObject({
    code: "not-found",
    reason: "GONE",
    message: "x is gone",
    details: { key: "x" },
    cause,
  });
  expect(Object.isFrozen(error.details)).toBe(true);
  expect([isAeonError(error), isAeonError(error, "GONE"), isAeonError(error, "not-found")]).toEqual([
    true,
    true,
    true,
  ]);
  expect([isAeonError(error, "OTHER"), isAeonError(cause)]).toEqual([false, false]);
});

test("every error of this package tells when it happens and what to do", () => {
  for (const entry of Object.values(errors.entries)) {
    expect(entry.when).toMatch(/\.$/);
    expect(entry.remedy).toMatch(/\.$/);
  }
});

function thrownBy(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

test("errno values of Node and of our own Linux calls become codes", () => {
  const ofNode = thrownBy(() => statSync("/absent"));
  expect(errnoOf(ofNode)).toBe("ENOENT");
  expect(toAeonError(ofNode, "look at /absent")).toMatchObject({
    code: "not-found",
    reason: "SYSTEM_ENOENT",
    cause: ofNode,
  });
  expect(toAeonError(new LinuxError("ENOSPC", "write", "/x"), "write /x")).toMatchObject({
    code: "resource-exhausted",
    message: "write /x: ENOSPC: no space left on device, write '/x'",
  });
});

test("aborts and time limits keep their meaning, AeonErrors pass, the rest is internal", () => {
  const known = new AeonError("aborted", "X", "x");
  expect(toAeonError(known, "do")).toBe(known);
  expect(toAeonError(new DOMException("stop", "AbortError"), "do")).toMatchObject({ code: "canceled" });
  expect(toAeonError(new DOMException("late", "TimeoutError"), "do")).toMatchObject({
    code: "deadline-exceeded",
  });
  expect(toAeonError("text", "do")).toMatchObject({ code: "internal", message: "do: text" });
});
