import { expect, test } from "vitest";
import { humanDuration } from "./duration.ts";

test.each([
  [-5, "0s"],
  [0, "0s"],
  [999, "0s"],
  [1000, "1s"],
  [61_000, "1m 1s"],
  [3_600_000, "1h"],
  [12_030_000, "3h 20m"],
  [86_400_000 * 400 + 3_600_000 * 5, "400d 5h"],
])("%d ms are %s", (milliseconds, text) => {
  expect(humanDuration(milliseconds)).toBe(text);
});
