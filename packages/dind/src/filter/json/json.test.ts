import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeJson } from "./decode-json.ts";
import { encodeJson } from "./encode-json.ts";
import { foldKey } from "./fold.ts";
import { isComplete } from "./is-complete.ts";
import { JsonNumber } from "./json-value.ts";

const decode = (text: string) => decodeJson(Buffer.from(text));

const outcome = (read: (text: string) => unknown, text: string): string => {
  try {
    return JSON.stringify(read(text));
  } catch {
    return "refused";
  }
};

const unchanged = (text: string) =>
  !text.isWellFormed() ||
  outcome((each) => JSON.parse(encodeJson(decode(each))), text) === outcome(JSON.parse, text);
const refused = (text: string) =>
  outcome(JSON.parse, text) !== "refused" || outcome(decode, text) === "refused";

test("every JSON text means the same after decoding and encoding", () => {
  const texts = fc.jsonValue({ maxDepth: 6 }).map((value) => JSON.stringify(value));
  const { failed, counterexample } = fc.check(fc.property(texts, unchanged));
  expect({ failed, counterexample }).toEqual({ failed: false, counterexample: null });
});

test("what JSON.parse refuses is refused", () => {
  const broken = fc
    .tuple(fc.string({ unit: "grapheme-ascii" }), fc.jsonValue(), fc.nat())
    .map(([noise, value, at]) => {
      const text = JSON.stringify(value);
      const cut = at % (text.length + 1);
      return text.slice(0, cut) + noise + text.slice(cut);
    });
  const { failed, counterexample } = fc.check(fc.property(broken, refused));
  expect({ failed, counterexample }).toEqual({ failed: false, counterexample: null });
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
