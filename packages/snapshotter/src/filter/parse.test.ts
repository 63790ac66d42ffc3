import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAeonError } from "@aeon/core";
import { parseFilter, type Selector } from "./parse.ts";

const present = (...path: string[]): Selector => ({ path, operator: "present", value: "" });
const equal = (value: string, ...path: string[]): Selector => ({ path, operator: "==", value });

describe("the filter grammar", () => {
  test.each<[string, readonly Selector[]]>([
    ["", []],
    ["name", [present("name")]],
    ["labels.foo", [present("labels", "foo")]],
    ["labels.foo.bar_1", [present("labels", "foo", "bar_1")]],
    ['labels."very complex/label"', [present("labels", "very complex/label")]],
    ["name==a", [equal("a", "name")]],
    ["name== a", [equal("a", "name")]],
    ["name ==a", [equal("a", "name")]],
    [" name == a", [equal("a", "name")]],
    ["name==a,kind==b", [equal("a", "name"), equal("b", "kind")]],
    ["name==a, kind==b", [equal("a", "name"), equal("b", "kind")]],
    ["name,kind", [present("name"), present("kind")]],
    ["name!=a", [{ path: ["name"], operator: "!=", value: "a" }]],
    ["name~=^a.*$", [{ path: ["name"], operator: "~=", value: "^a.*$" }]],
    ["name~=/abc/", [{ path: ["name"], operator: "~=", value: "abc" }]],
    ["name~=/a\\/c/", [{ path: ["name"], operator: "~=", value: "a/c" }]],
    ["name~=|a/c|", [{ path: ["name"], operator: "~=", value: "a/c" }]],
    ["name==a/b|c\"d'e", [equal("a/b|c\"d'e", "name")]],
    ["name==a==b", [equal("a==b", "name")]],
    ["name=='a'", [equal("'a'", "name")]],
    ['name=="a\\tb\\x41\\u00e9\\101\\U0001F600"', [equal("a\tbAéA😀", "name")]],
    ['name=="\\xc3\\xa9"', [equal("é", "name")]],
    ['name==""', [equal("", "name")]],
    ["name==sha256:abc", [equal("sha256:abc", "name")]],
    ["name==日本", [equal("日本", "name")]],
  ])("%j", (input, expected) => {
    expect(parseFilter(input)).toEqual(expected);
  });

  test.each([
    ["name==", "expected a value"],
    ["name=a", "expected one of"],
    ["name===a", "expected one of"],
    ["name==a ,kind==b", "expected a comma or the end"],
    ["name==a kind==b", "expected a comma or the end"],
    ["name==a,", "expected a field"],
    [",name", "expected a field"],
    ["name.", "expected a field"],
    ["name..x", "expected a field"],
    [".", "expected a field"],
    ["name ", "expected one of"],
    ["name a", "expected one of"],
    ["na-me", "expected one of"],
    ["name==/a/", "only patterns"],
    ["name==|a|", "only patterns"],
    ["labels./a/", "only patterns"],
    ['name=="a', "no end"],
    ['name=="a\nb"', "no end"],
    ['name=="\\q"', "unknown escape"],
    ['name=="\\400"', "unknown escape"],
    ['name=="\\/"', "unknown escape"],
    ["name==\0", "unexpected character"],
    ["\0", "unexpected character"],
    ["日本==a", "unexpected character"],
    ["x".repeat(70_000), "longer than"],
  ])("refuses %j", (input, problem) => {
    expect(() => parseFilter(input)).toThrow(problem);
  });

  test("gives back any selectors that were written with quotes", () => {
    const word = fc.string({ unit: "binary", maxLength: 20 }).filter((text) => text.isWellFormed());
    const selector = fc.record({
      path: fc.array(word, { minLength: 1, maxLength: 4 }),
      operator: fc.constantFrom("==" as const, "!=" as const, "~=" as const),
      value: word,
    });
    fc.assert(
      fc.property(fc.array(selector, { minLength: 1, maxLength: 4 }), (selectors) => {
        const text = selectors
          .map(({ path, operator, value }) => `${path.map(quoted).join(".")}${operator}${quoted(value)}`)
          .join(",");
        expect(parseFilter(text)).toEqual(selectors);
      }),
    );
  });

  test("either parses or refuses any text, nothing else", () => {
    const pieces = fc.array(
      fc.oneof(
        fc.constantFrom(
          "name",
          "labels",
          ".",
          ",",
          "==",
          "!=",
          "~=",
          '"',
          "/",
          "|",
          "\\",
          " ",
          "=",
          "\0",
          "\\x4",
        ),
        fc.string({ unit: "binary", maxLength: 4 }),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        expect(["parsed", "refused"]).toContain(outcome(parts.join("")));
      }),
      { numRuns: 2000 },
    );
  });
});

function outcome(text: string): string {
  try {
    return parseFilter(text).every(({ path }) => path.length > 0) ? "parsed" : "empty path";
  } catch (error) {
    return isAeonError(error, "SNAPSHOT_FILTER_INVALID") ? "refused" : String(error);
  }
}

const quoted = (text: string): string => {
  const body = Array.from(text, (char) => {
    if (char === '"' || char === "\\") return `\\${char}`;
    const point = char.codePointAt(0) ?? 0;
    return point < 0x20 ? `\\x${point.toString(16).padStart(2, "0")}` : char;
  });
  return `"${body.join("")}"`;
};
