import { expect, test } from "vitest";
import { row } from "./benchmark.ts";
import { median, quantile } from "./statistics.ts";

test("medians and quantiles are values that were measured, or the mean of two", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(quantile(hundred, 0.99)).toBe(99);
  expect(quantile(hundred, 1)).toBe(100);
  expect(quantile([7], 0.5)).toBe(7);
  expect(() => quantile([], 0.5)).toThrow("nothing");
});

test("a row is judged by its value or by its ratio to the peer", () => {
  const measured = { name: "x", value: 6, unit: "ms", peer: 3 };
  expect(row({ ...measured, goal: { of: "value", atMost: 5 } })).toMatchObject({ ratio: 2, pass: false });
  expect(row({ ...measured, goal: { of: "ratio", atLeast: 2 } })).toMatchObject({ pass: true });
  expect(row(measured)).toMatchObject({ goal: null, pass: null });
});
