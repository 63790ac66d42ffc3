import type { Mount } from "@aeon/core";
import { expect, test } from "vitest";
import { layeredMounts } from "./layered-mounts.ts";

const overlay: Mount = {
  type: "overlay",
  source: "overlay",
  target: "",
  options: ["index=off", "workdir=/s/3/work", "upperdir=/s/3/fs", "lowerdir=/s/2/fs:/s/1/fs"],
};

test("layers go between the image and the writable layer, the newest on top", () => {
  const [mount] = layeredMounts([overlay], ["/l/old/fs", "/l/new/fs"]);
  expect(mount?.options).toEqual([
    "index=off",
    "workdir=/s/3/work",
    "upperdir=/s/3/fs",
    "lowerdir=/l/new/fs:/l/old/fs:/s/2/fs:/s/1/fs",
  ]);
});

test("a bind mount becomes an overlay of its own folder", () => {
  const bind: Mount = {
    type: "bind",
    source: "/s/3/fs",
    target: "",
    options: ["uidmap=0:1:2", "rw", "rbind"],
  };
  expect(layeredMounts([bind], ["/l/a/fs"])).toEqual([
    {
      type: "overlay",
      source: "overlay",
      target: "",
      options: [
        "uidmap=0:1:2",
        "workdir=/s/3/work",
        "upperdir=/s/3/fs",
        "lowerdir=/l/a/fs",
        "index=off",
        "metacopy=off",
        "redirect_dir=off",
      ],
    },
  ]);
});

test("without layers nothing changes", () => {
  expect(layeredMounts([overlay], [])).toEqual([overlay]);
});

test("colons and backslashes in a path do not split it", () => {
  const [mount] = layeredMounts([overlay], [String.raw`/a:b\c/fs`]);
  expect(mount?.options.at(-1)).toBe(String.raw`lowerdir=/a\:b\\c/fs:/s/2/fs:/s/1/fs`);
});
