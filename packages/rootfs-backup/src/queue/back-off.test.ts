import { expect, test } from "vitest";
import { backOff } from "./back-off.ts";

test("waits double from one second to ten minutes", () => {
  const waits = [1, 2, 3, 4, 10, 11, 100, 100_000].map((attempts) => backOff(attempts, () => 1));
  expect(waits).toEqual([1000, 2000, 4000, 8000, 512_000, 600_000, 600_000, 600_000]);
});

test("half of a wait is random", () => {
  expect([0, 0.5, 1].map((random) => backOff(1, () => random))).toEqual([500, 750, 1000]);
});
