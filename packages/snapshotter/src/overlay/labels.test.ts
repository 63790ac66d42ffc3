import { describe, expect, test } from "vitest";
import { storedLabels, updatedLabels } from "./labels.ts";

describe("labels", () => {
  test("with empty values are not stored", () => {
    expect(storedLabels({ a: "1", b: "", c: "2" })).toEqual({ a: "1", c: "2" });
  });

  test.each<[readonly string[], Record<string, string>, Record<string, string>]>([
    [[], { c: "3" }, { c: "3" }],
    [["labels"], { c: "3", d: "" }, { c: "3" }],
    [["labels.a"], { a: "9", c: "3" }, { a: "9", "b.x": "2" }],
    [["labels.b.x"], { "b.x": "8" }, { a: "1", "b.x": "8" }],
    [["labels.a"], {}, { "b.x": "2" }],
    [["labels.a"], { a: "" }, { "b.x": "2" }],
    [["labels.new", "labels.a"], { new: "n", a: "9" }, { a: "9", "b.x": "2", new: "n" }],
    [["labels.a", "labels"], { c: "3" }, { c: "3" }],
    [["labels.toString"], {}, { a: "1", "b.x": "2" }],
  ])("update of %j with %j", (paths, wanted, expected) => {
    expect(updatedLabels({ a: "1", "b.x": "2" }, wanted, paths)).toEqual(expected);
  });

  test.each(["name", "parent", "kind", "created_at", "", "Labels", "labels.", "LABELS.a"])(
    "an update of %j is refused, whatever else is asked",
    (path) => {
      expect(() => updatedLabels({}, { a: "1" }, ["labels.a", path])).toThrow("only labels");
    },
  );
});
