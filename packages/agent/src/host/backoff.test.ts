import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs, defaultBackoff } from "./backoff.ts";

test("pauses double up to the longest one, with jitter of half", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), (failures) => {
      const { initialMs, maxMs } = defaultBackoff;
      const full = Math.min(maxMs, initialMs * 2 ** (failures - 1));
      const pause = backoffMs(failures, defaultBackoff);
      expect(pause).toBeGreaterThanOrEqual(full / 2);
      expect(pause).toBeLessThanOrEqual(full);
    }),
  );
});
