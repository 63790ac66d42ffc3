import fc from "fast-check";
import { expect, test } from "vitest";
import { assertKey, assertPrefix, encodeSegment, isMutable } from "./object-key.ts";

test("usual names stay as they are", () => {
  for (const name of ["web-0", "kube-system", "a_b.c", "Web"]) expect(encodeSegment(name)).toBe(name);
  expect(encodeSegment(".hidden")).toBe("~2ehidden");
  expect(encodeSegment("a/b ~ü")).toBe("a~2fb~20~7e~c3~bc");
});

test("any name is a segment, and different names are different segments", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.string({ unit: "binary", maxLength: 300 }),
      (a, b) => {
        assertKey(encodeSegment(a));
        assertPrefix(`${encodeSegment(a)}/`);
        expect(encodeSegment(a) === encodeSegment(b)).toBe(Buffer.from(a).equals(Buffer.from(b)));
      },
    ),
  );
});

test("only names in capitals are replaced", () => {
  expect(["HEAD.json", "a/HEAD.json"].every(isMutable)).toBe(true);
  expect(["a/head.json", "HEAD", "a/HEAD.json/b", "aHEAD.json"].some(isMutable)).toBe(false);
});
