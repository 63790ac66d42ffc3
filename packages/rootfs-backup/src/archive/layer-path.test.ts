import { expect, test } from "vitest";
import { splitLayerPath } from "./layer-path.ts";

const split = (path: string) => splitLayerPath(Buffer.from(path)).map(String);

test.each([
  ["a", ["a"]],
  ["a/b", ["a", "b"]],
  ["./a/b", ["a", "b"]],
  [".", []],
  ["...", ["..."]],
  [" ", [" "]],
  ["a\\b", ["a\\b"]],
])("splits %j", (path, names) => {
  expect(split(path)).toEqual(names);
});

test.each([
  "",
  "/",
  "/a",
  "..",
  "../a",
  "a/..",
  "a/../b",
  "a//b",
  "a/./b",
  "a/",
  "./",
  "././a",
  "a\0b",
  "n".repeat(400),
])("refuses %j", (path) => {
  expect(() => split(path)).toThrow(/archive holds the path/);
});
