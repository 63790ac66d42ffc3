import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { shellWord } from "./shell-word.ts";

test("a shell reads the text back as one word", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 30 }).filter((value) => !value.includes("\0"));
  fc.assert(
    fc.property(fc.array(text, { maxLength: 20 }), (words) => {
      const script = `printf '%s\\0' ${words.map(shellWord).join(" ")}`;
      const output = execFileSync("sh", ["-c", script], { encoding: "utf8" });
      expect(output.split("\0").slice(0, -1)).toEqual(words.length === 0 ? [""] : words);
    }),
    { numRuns: 50 },
  );
});

test("a plain path stays readable", () => {
  expect(shellWord("/var/lib/aeon-standalone/bin/ctr")).toBe("/var/lib/aeon-standalone/bin/ctr");
});
