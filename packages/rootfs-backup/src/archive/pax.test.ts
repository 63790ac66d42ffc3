import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatTime, parseCount, parsePax, parseTime, paxRecord } from "./pax.ts";

const keyword = fc.stringMatching(/^[A-Za-z.]{1,30}$/);
const value = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));

test("records survive, whatever bytes they hold", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(keyword, value), { selector: ([key]) => key }), (records) => {
      const bytes = Buffer.concat(records.map(([key, each]) => paxRecord(key, each)));
      expect([...parsePax(bytes)]).toEqual(records);
    }),
  );
});

test.each([
  ["5 a=\n"],
  ["9 a=xxxx\n"],
  ["11 a=xxxxx\n"],
  [`99 a=${"x".repeat(93)}\n`],
  [`101 a=${"x".repeat(94)}\n`],
])("the length counts its own digits (%#)", (text) => {
  const inside = text.slice(text.indexOf("=") + 1, -1);
  expect(paxRecord("a", inside).toString()).toBe(text);
  expect(paxRecord("a", inside)).toHaveLength(Number.parseInt(text, 10));
});

test("times survive to the nanosecond, before 1970 too", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }), (time) => {
      expect(parseTime(formatTime(time))).toBe(time);
    }),
  );
});

test.each([
  ["1.5", 1_500_000_000n],
  ["-1.5", -1_500_000_000n],
  ["0", 0n],
  ["12.1234567899", 12_123_456_789n],
  ["-315619199.877", -315_619_199_877_000_000n],
])("reads the time %s", (text, expected) => {
  expect(parseTime(text)).toBe(expected);
});

describe("refuses", () => {
  test.each(["", "-", "1.", "1e9", " 1", "--1", "9".repeat(19)])("the time %j", (text) => {
    expect(() => parseTime(text)).toThrow(/malformed time/);
  });

  test.each(["", "-1", "+1", "1.5", "0x10", "9007199254740992", "9".repeat(30)])("the number %j", (text) => {
    expect(() => parseCount(Buffer.from(text), "size")).toThrow(/malformed size/);
  });

  test.each(["x", "5a=\n", "99 a=\n", "5 a=x", "0 a=\n", "05 a=\n", "5 abc\n", "6 a=\n"])(
    "the record %j",
    (text) => {
      expect(() => parsePax(Buffer.from(text))).toThrow(/malformed extended header/);
    },
  );
});
