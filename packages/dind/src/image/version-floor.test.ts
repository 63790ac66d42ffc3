import { expect, test } from "vitest";
import { hasFixes, requireFixes } from "./version-floor.ts";

test.each([
  ["engine", "28.5.2+dfsg4-5", true],
  ["engine", "28.5.2+dfsg4-2", false],
  ["engine", "26.1.5+dfsg1-9+deb13u1+b1", true],
  ["engine", "26.1.5+dfsg1-9", false],
  ["engine", "28.5.2", false],
  ["engine", "29.5.0", false],
  ["engine", "29.5.1", true],
  ["engine", "30.0.0", true],
  ["runc", "1.1.15+ds1-2+b4", false],
  ["runc", "1.2.7", false],
  ["runc", "1.2.8", true],
  ["runc", "1.3.2+ds1-1", false],
  ["runc", "1.3.6+ds1-1", true],
] as const)("%s %s: %s", (part, version, expected) => {
  expect(hasFixes(part, version)).toBe(expected);
});

test("an unknown version is refused, and the message names what would do", () => {
  expect(() => requireFixes("runc", undefined, "image x")).toThrow(
    /image x: runc of unknown version.*1\.3\.3 or later/,
  );
});
