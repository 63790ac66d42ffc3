import fc from "fast-check";
import { expect, test } from "vitest";
import { nanosOf, required, timestampOf } from "./values.ts";

test("timestamps keep every nanosecond, before the epoch too", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 18n), max: 10n ** 19n }), (nanos) => {
      const timestamp = timestampOf(nanos);
      expect(timestamp.nanos).toBeGreaterThanOrEqual(0);
      expect(nanosOf(timestamp)).toBe(nanos);
    }),
  );
  expect(nanosOf(undefined)).toBe(0n);
});

test("a reply without its message is an error", () => {
  expect(() => required(undefined, "image")).toThrow(expect.objectContaining({ reason: "REPLY_INCOMPLETE" }));
});
