import type { Mount } from "@aeon/core";
import { expect, test } from "vitest";
import { writableLayer } from "./writable-layer.ts";

const mount = (type: string, ...options: string[]): Mount => ({
  type,
  source: "/s/1/fs",
  target: "",
  options,
});

test.each([
  [[mount("overlay", "workdir=/s/1/work", "upperdir=/s/1/fs", "lowerdir=/s/2/fs")], "trusted"],
  [[mount("overlay", "upperdir=/s/1/fs", "userxattr", "lowerdir=/s/2/fs")], "user"],
  [[mount("bind", "rw", "rbind")], "trusted"],
] as const)("finds it (%#)", (mounts, overlay) => {
  expect(writableLayer(mounts)).toEqual({ upperdir: "/s/1/fs", overlay });
});

test.each([
  [[]],
  [[mount("overlay", "lowerdir=/s/2/fs:/s/1/fs")]],
  [[mount("bind", "ro", "rbind")]],
  [[mount("erofs", "ro")]],
  [[mount("bind", "rw"), mount("bind", "rw")]],
])("finds none (%#)", (mounts) => {
  expect(writableLayer(mounts)).toBeUndefined();
});
