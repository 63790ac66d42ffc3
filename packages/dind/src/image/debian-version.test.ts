import { expect, test } from "vitest";
import { compareDebianVersions } from "./debian-version.ts";

test.each([
  ["1.0", "1.0", 0],
  ["1.0-1", "1.0-2", -1],
  ["1.9", "1.10", -1],
  ["1.0~rc1", "1.0", -1],
  ["1:0.1", "2.0", 1],
  ["26.1.5+dfsg1-9", "26.1.5+dfsg1-9+deb13u1", -1],
  ["26.1.5+dfsg1-9+deb13u1+b1", "26.1.5+dfsg1-9+deb13u1", 1],
  ["28.5.2+dfsg4-2", "28.5.2+dfsg4-3", -1],
  ["1.1.15+ds1-2+b4", "1.2.8", -1],
  ["1.3.6+ds1-1", "1.3.3", 1],
  ["1.3.3~rc1-1", "1.3.3", -1],
])("%s against %s is %i", (a, b, sign) => {
  expect(Math.sign(compareDebianVersions(a, b))).toBe(sign);
  expect(Math.sign(compareDebianVersions(b, a))).toBe(sign === 0 ? 0 : -sign);
});
