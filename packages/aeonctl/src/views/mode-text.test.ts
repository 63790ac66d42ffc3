import { expect, test } from "vitest";
import { modeText } from "./mode-text.ts";

test.each([
  ["file", 0o644, "-rw-r--r--"],
  ["directory", 0o1777, "drwxrwxrwt"],
  ["file", 0o4711, "-rws--x--x"],
  ["file", 0o6600, "-rwS--S---"],
  ["directory", 0o1000, "d--------T"],
  ["symlink", 0o777, "lrwxrwxrwx"],
  ["fifo", 0o600, "prw-------"],
])("%s with %o is %s", (type, mode, text) => {
  expect(modeText(type, mode)).toBe(text);
});

test("a deleted name has no mode", () => {
  expect(modeText("deleted", null)).toBe("deleted");
});
