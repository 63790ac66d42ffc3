import { expect, test } from "vitest";
import { parse } from "yaml";
import { render } from "./output.ts";
import { plainStyle } from "./style.ts";

const value = { id: "b", size: 12_345_678_901, failure: null, labels: { "a.b/c": "1" } };

test.each([
  ["json", (text: string): unknown => JSON.parse(text)],
  ["yaml", (text: string): unknown => parse(text)],
] as const)("%s keeps exact numbers, nulls and strings that look like numbers", async (format, read) => {
  const text = await render(value, format, () => "", plainStyle);
  expect(read(text)).toEqual(value);
  expect(text.endsWith("\n")).toBe(true);
});

test("a table is made by the view", async () => {
  expect(await render(value, "table", ({ id }) => `${id}!\n`, plainStyle)).toBe("b!\n");
});
