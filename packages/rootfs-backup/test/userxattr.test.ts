import { lstatSync, mkdirSync, writeFileSync } from "node:fs";
import { linux } from "@aeon/core";
import { expect, test } from "vitest";
import { packFile, unpackFile } from "../src/archive/layer-file.ts";
import { scratch, type Scratch } from "./scratch.ts";

const y = Buffer.from("y");

/** Attributes by path, as `name=value`. */
const attributes = (dir: Scratch, ...path: string[]): string[] =>
  linux
    .listXattrsSync(dir.at(...path))
    .map((name) => `${name.toString()}=${linux.getXattrSync(dir.at(...path), name)?.toString() ?? ""}`)
    .toSorted();

/** What overlayfs writes for mounts with `userxattr`, and attributes that the container gave itself. */
function fill(dir: Scratch): void {
  for (const name of ["opaque", "own", "plain"]) mkdirSync(dir.at("upper", name), { recursive: true });
  linux.setXattrSync(dir.at("upper/opaque"), "user.overlay.opaque", y);
  linux.setXattrSync(dir.at("upper/opaque"), "user.overlay.origin", Buffer.from("handle"));
  linux.setXattrSync(dir.at("upper/own"), "user.overlay.overlay.opaque", y);
  linux.setXattrSync(dir.at("upper/plain"), "trusted.overlay.opaque", y);
  linux.setXattrSync(dir.at("upper/plain"), "user.x", y);
  writeFileSync(dir.at("upper/plain/deleted"), "");
  linux.setXattrSync(dir.at("upper/plain/deleted"), "user.overlay.whiteout", y);
}

test("only the attributes of the mount's own prefix have a meaning, and it survives under either", async () => {
  using dir = scratch();
  fill(dir);
  const { layer, report } = await packFile({
    source: dir.at("upper"),
    target: dir.at("blob"),
    overlay: "user",
    level: 1,
  });
  expect(report.counts).toMatchObject({ directories: 4, opaques: 1, whiteouts: 1, files: 0 });
  for (const overlay of ["user", "trusted"] as const)
    await unpackFile({ source: dir.at("blob"), layer, target: dir.at(overlay), overlay });
  expect(attributes(dir, "user/opaque")).toEqual(["user.overlay.opaque=y"]);
  expect(attributes(dir, "user/own")).toEqual(["user.overlay.overlay.opaque=y"]);
  expect(attributes(dir, "user/plain")).toEqual([
    "trusted.overlay.opaque=y",
    "user.overlay.origin=",
    "user.x=y",
  ]);
  expect(attributes(dir, "trusted/opaque")).toEqual(["trusted.overlay.opaque=y"]);
  expect(attributes(dir, "trusted/own")).toEqual(["user.overlay.opaque=y"]);
  expect(attributes(dir, "trusted/plain")).toEqual([
    "trusted.overlay.origin=",
    "trusted.overlay.overlay.opaque=y",
    "user.x=y",
  ]);
  for (const overlay of ["user", "trusted"]) expect(lstatSync(dir.at(overlay, "plain/deleted")).rdev).toBe(0);
  const again = await packFile({
    source: dir.at("user"),
    target: dir.at("again"),
    overlay: "user",
    level: 1,
  });
  expect(again.layer).toEqual(layer);
});
