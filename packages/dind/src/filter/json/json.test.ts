import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeJson } from "./decode-json.ts";
import { encodeJson } from "./encode-json.ts";
import { foldKey } from "./fold.ts";
import { isComplete } from "./is-complete.ts";
import { JsonNumber } from "./json-value.ts";

const decode = (text: string) => decodeJson(Buffer.from(text));

test("every JSON text means the same after decoding and encoding", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      const text = JSON.stringify(value);
      if (text.isWellFormed()) expect(JSON.parse(encodeJson(decode(text)))).toEqual(JSON.parse(text));
    }),
  );
});

test("what JSON.parse refuses is refused", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme-ascii" }), fc.jsonValue(), fc.nat(), (noise, value, at) => {
      const text = JSON.stringify(value);
      const broken = text.slice(0, at % (text.length + 1)) + noise + text.slice(at % (text.length + 1));
      let fine = true;
      try {
        JSON.parse(broken);
      } catch {
        fine = false;
      }
      if (!fine) expect(() => decode(broken)).toThrow();
    }),
  );
});

test("numbers keep their digits", () => {
  const value = decode("[9223372036854775807,1e3,-0.10]");
  expect(encodeJson(value)).toBe("[9223372036854775807,1e3,-0.10]");
  expect(new JsonNumber("9223372036854775807").integer).toBe(2n ** 63n - 1n);
  expect(new JsonNumber("1e3").integer).toBeUndefined();
});

test.each([
  ['{"a":1,"a":2}', "appears twice"],
  ['{"a":1,"\\u0061":2}', "appears twice"],
  ['{"a":1}}', "follows the end"],
  ['{"a":1} x', "follows the end"],
  ['{"a":1}\0', "follows the end"],
  ['\ufeff{"a":1}', "no JSON value"],
  [`${"[".repeat(5000)}${"]".repeat(5000)}`, "levels"],
  ['"\\ud800"', "surrogate"],
  ["01", "follows the end"],
  ["+1", "no JSON value"],
  ["[1,]", "no JSON value"],
  ['{"a"}', "colon"],
  ['"a\nb"', "control character"],
  ["", "no JSON value"],
])("%j is refused", (text, why) => {
  expect(() => decode(text)).toThrow(why);
});

test("bytes that are no UTF-8 are refused", () => {
  expect(() => decodeJson(Buffer.from([0x22, 0xff, 0x22]))).toThrow("UTF-8");
});

test("keys fold as the daemon folds them", () => {
  expect(foldKey("Bind\u017f")).toBe("binds");
  expect(foldKey("Networ\u212aMode")).toBe("networkmode");
  expect(foldKey("pRIVILEGED")).toBe("privileged");
});

test("an object is complete when its braces are balanced outside of strings", () => {
  expect(isComplete(Buffer.from('{"a":"}"'))).toBe(false);
  expect(isComplete(Buffer.from(String.raw`{"a":"\"}"}rest`))).toBe(true);
});
