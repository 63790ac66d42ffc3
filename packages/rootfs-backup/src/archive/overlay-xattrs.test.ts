import { expect, test } from "vitest";
import { lowerXattrName, opaqueXattr, readUpperXattr } from "./overlay-xattrs.ts";

const xattr = (name: string, value = "y") => ({ name: Buffer.from(name), value: Buffer.from(value) });

test.each([
  ["trusted.overlay.opaque", "opaque"],
  ["trusted.overlay.whiteout", "whiteout"],
  ["trusted.overlay.origin", "private"],
  ["trusted.overlay.impure", "private"],
  ["trusted.overlay.nlink", "private"],
  ["trusted.overlay.uuid", "private"],
  ["trusted.overlay.upper", "private"],
  ["trusted.overlay.anything-new", "private"],
  ["trusted.overlay.metacopy", "elsewhere"],
  ["trusted.overlay.redirect", "elsewhere"],
  ["trusted.overlay.protattr", "dropped"],
  ["security.selinux", "dropped"],
  ["security.ima", "dropped"],
  ["security.capability", "data"],
  ["user.overlay.opaque", "data"],
  ["user.mine", "data"],
  ["trusted.mine", "data"],
])("%s is %s", (name, kind) => {
  expect(readUpperXattr(xattr(name), "trusted").kind).toBe(kind);
});

test("a mount with userxattr keeps its marks elsewhere", () => {
  expect(readUpperXattr(xattr("user.overlay.opaque"), "user").kind).toBe("opaque");
  expect(readUpperXattr(xattr("trusted.overlay.opaque"), "user").kind).toBe("data");
  expect(opaqueXattr("user").name.toString()).toBe("user.overlay.opaque");
});

test("only the value y makes a directory opaque", () => {
  expect(readUpperXattr(xattr("trusted.overlay.opaque", "x"), "trusted").kind).toBe("private");
});

test("a container's own attribute of that name comes out and goes back as overlayfs wants it", () => {
  const inside = readUpperXattr(xattr("trusted.overlay.overlay.opaque"), "trusted");
  expect(inside).toEqual({ kind: "data", xattr: xattr("trusted.overlay.opaque") });
  expect(lowerXattrName(Buffer.from("trusted.overlay.opaque"), "trusted").toString()).toBe(
    "trusted.overlay.overlay.opaque",
  );
  expect(lowerXattrName(Buffer.from("user.overlay.opaque"), "trusted").toString()).toBe(
    "user.overlay.opaque",
  );
});
