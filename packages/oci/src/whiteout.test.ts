import fc from "fast-check";
import { expect, test } from "vitest";
import {
  isOverlayOpaque,
  isOverlayWhiteout,
  isOverlayXattr,
  opaquePath,
  opaqueXattr,
  parseLayerName,
  whiteoutPath,
  type OverlayFile,
} from "./whiteout.ts";

const name = fc
  .string({ minLength: 1, maxLength: 20 })
  .filter((text) => !text.includes("/") && !text.startsWith(".wh.") && text !== "." && text !== "..");
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));

test("whiteouts and opaque markers name the path they were made for", () => {
  fc.assert(
    fc.property(path, (target) => {
      expect(parseLayerName(target)).toEqual({ kind: "entry", path: target });
      expect(parseLayerName(whiteoutPath(target))).toEqual({ kind: "whiteout", path: target });
      expect(parseLayerName(opaquePath(target))).toEqual({ kind: "opaque", path: target });
    }),
  );
  expect(parseLayerName(opaquePath(""))).toEqual({ kind: "opaque", path: "" });
});

test.each([".wh..wh.plnk", "a/.wh..wh.aufs", ".wh.", "a/.wh..", "a/.wh..."])(
  "%s deletes nothing",
  (reserved) => expect(parseLayerName(reserved)).toEqual({ kind: "reserved", path: reserved }),
);

const file = (facts: Partial<OverlayFile>): OverlayFile => ({
  type: "file",
  size: 0,
  xattrs: new Map(),
  ...facts,
});

test("only device 0:0 and marked empty files are whiteouts of an upperdir", () => {
  expect(isOverlayWhiteout(file({ type: "character", major: 0, minor: 0 }))).toBe(true);
  expect(isOverlayWhiteout(file({ type: "character", major: 1, minor: 3 }))).toBe(false);
  expect(isOverlayWhiteout(file({ type: "block", major: 0, minor: 0 }))).toBe(false);
  const marked = new Map([["trusted.overlay.whiteout", Buffer.alloc(0)]]);
  expect(isOverlayWhiteout(file({ xattrs: marked }))).toBe(true);
  expect(isOverlayWhiteout(file({ xattrs: marked, size: 1 }))).toBe(false);
  expect(isOverlayWhiteout(file({}))).toBe(false);
});

test.each(["trusted", "user"] as const)("a directory with %s.overlay.opaque=y is opaque", (space) => {
  const { name: attribute, value } = opaqueXattr(space);
  expect(isOverlayOpaque(file({ type: "directory", xattrs: new Map([[attribute, value]]) }))).toBe(true);
  expect(isOverlayOpaque(file({ type: "directory", xattrs: new Map([[attribute, Buffer.from("x")]]) }))).toBe(
    false,
  );
  expect(isOverlayOpaque(file({ type: "file", xattrs: new Map([[attribute, value]]) }))).toBe(false);
  expect(isOverlayXattr(attribute)).toBe(true);
});

test("attributes of others are not overlay's", () => {
  expect(isOverlayXattr("user.overlayfs")).toBe(false);
  expect(isOverlayXattr("security.capability")).toBe(false);
});
