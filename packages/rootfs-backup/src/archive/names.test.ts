import fc from "fast-check";
import { expect, test } from "vitest";
import { byBytes, fileName, layerName, opaqueMarker, parseLayerName, whiteoutName } from "./names.ts";

const name = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    fc
      .array(fc.constantFrom(".aeon", ".wh.", ".wh", "x", "..opq"), { minLength: 1, maxLength: 5 })
      .map((parts) => Buffer.from(parts.join(""))),
  )
  .filter((bytes) => bytes.length > 0);

test("every name survives, and none is taken for a deletion", () => {
  fc.assert(
    fc.property(name, (bytes) => {
      expect(parseLayerName(layerName(bytes))).toEqual({ kind: "file", name: bytes });
      expect(fileName(layerName(bytes))).toEqual(bytes);
    }),
  );
});

test("a deletion survives for every name, and differs from the opaque mark", () => {
  fc.assert(
    fc.property(name, (bytes) => {
      expect(whiteoutName(bytes).equals(opaqueMarker)).toBe(false);
      expect(parseLayerName(whiteoutName(bytes))).toEqual({ kind: "whiteout", name: bytes });
    }),
  );
});

test("two names never share a form", () => {
  fc.assert(
    fc.property(name, name, (a, b) => {
      expect(layerName(a).equals(layerName(b))).toBe(a.equals(b));
    }),
  );
});

test.each([
  ["plain", "plain"],
  [".wh.x", ".aeon.wh.x"],
  [".wh..wh..opq", ".aeon.wh..wh..opq"],
  [".aeon.wh.x", ".aeon.aeon.wh.x"],
  [".aeon", ".aeon"],
  [".whx", ".whx"],
])("%s is stored as %s", (real, stored) => {
  expect(layerName(Buffer.from(real)).toString()).toBe(stored);
});

test("names are ordered by their bytes", () => {
  const names = ["b", "a", "\u00ff", "a.b", "a/b"].map((text) => Buffer.from(text));
  expect(names.toSorted(byBytes).map(String)).toEqual(["a", "a.b", "a/b", "b", "\u00ff"]);
});
