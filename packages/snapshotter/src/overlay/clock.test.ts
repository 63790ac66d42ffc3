import { describe, expect, test, vi } from "vitest";
import { createClock } from "./clock.ts";

/** The millisecond that a wall-clock reading may differ by. */
const slack = 1n;

describe("the clock", () => {
  test("agrees with the wall clock and resolves microseconds", () => {
    const clock = createClock();
    const readings = Array.from({ length: 2000 }, () => {
      const before = BigInt(Date.now());
      const now = clock() / 1_000_000n;
      return now >= before - slack && now <= BigInt(Date.now()) + slack;
    });
    expect(readings).not.toContain(false);
    const [a, b] = [clock(), clock()];
    expect(b).toBeGreaterThan(a);
    expect(b - a).toBeLessThan(5_000_000n);
  });

  test("follows when the wall clock is set", () => {
    const clock = createClock();
    const real = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => real() + 3_600_000);
    const ahead = clock() / 1_000_000n - BigInt(real());
    expect(ahead).toBeGreaterThan(3_599_000n);
    vi.restoreAllMocks();
    expect(clock() / 1_000_000n - BigInt(real())).toBeLessThan(1000n);
  });
});
