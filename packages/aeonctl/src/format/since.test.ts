import { expect, test } from "vitest";
import { parseSince } from "./since.ts";

const now = new Date("2026-01-31T12:00:00Z");

test.each([
  ["90s", "2026-01-31T11:58:30.000Z"],
  ["2h", "2026-01-31T10:00:00.000Z"],
  ["1w", "2026-01-24T12:00:00.000Z"],
  ["2026-01-01", "2026-01-01T00:00:00.000Z"],
  ["2026-01-01T10:00:00+02:00", "2026-01-01T08:00:00.000Z"],
])("%s is %s", (text, at) => {
  expect(parseSince(text, now).toISOString()).toBe(at);
});

test.each(["", "soon", "2 hours", "2y", "5", "-3d"])("%j is refused", (text) => {
  expect(() => parseSince(text, now)).toThrow("Expected a time span");
});
