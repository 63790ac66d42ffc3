import { expect, test } from "vitest";
import { differences, parseTap } from "./tap.ts";

const head = "1..3\r\nok 1 a\r\nnot ok 2 b [c]\r\n# (in test file x.bats, line 3)\r\n#  failed\r\n";

test("reads outcomes, reasons and what failing tests print", () => {
  expect(parseTap(`${head}ok 3 c # skip test requires systemd\r\n`)).toEqual([
    { name: "a", outcome: "ok", detail: "" },
    { name: "b [c]", outcome: "not ok", detail: " (in test file x.bats, line 3)\n  failed\n" },
    { name: "c", outcome: "skip", detail: "test requires systemd" },
  ]);
});

test("a list that ends early is an error", () => {
  expect(() => parseTap(head)).toThrow("2 of 3 planned tests ended");
});

test("tells each test that ended otherwise", () => {
  const plain = parseTap(`${head}ok 3 c\n`);
  expect(differences(plain, plain)).toEqual([]);
  const ours = parseTap("1..3\nok 1 a\nok 2 b [c]\nnot ok 3 c\n# reason\n");
  expect(differences(plain, ours)).toEqual([
    "2 b [c]: not ok with runc, ok with us\n",
    "3 c: ok with runc, not ok with us\n reason\n",
  ]);
});
