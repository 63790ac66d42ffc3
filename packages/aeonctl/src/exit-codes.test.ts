import { expect, test } from "vitest";
import { exitCodeMeanings, exitCodeOf, exitCodes } from "./exit-codes.ts";

test("codes that scripts rely on never change", () => {
  expect(exitCodes).toEqual({
    ok: 0,
    failure: 1,
    usage: 2,
    notFound: 3,
    unavailable: 4,
    precondition: 5,
    forbidden: 6,
    interrupted: 130,
  });
  expect(exitCodeOf("not-found")).toBe(3);
  expect(exitCodeOf("deadline-exceeded")).toBe(4);
  expect(exitCodeOf("internal")).toBe(1);
});

test("every code has a meaning in the help", () => {
  expect(exitCodeMeanings.map(([code]) => code)).toEqual(Object.values(exitCodes));
});
