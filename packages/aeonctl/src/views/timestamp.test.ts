import { create } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { isoTime, shortTime } from "./timestamp.ts";

const at = (seconds: bigint, nanos: number): ReturnType<typeof isoTime> =>
  isoTime(create(TimestampSchema, { seconds, nanos }));

test("is ISO 8601 to the nanosecond where there are nanoseconds", () => {
  expect(at(1_767_323_045n, 0)).toBe("2026-01-02T03:04:05.000Z");
  expect(at(1_767_323_045n, 120_000_000)).toBe("2026-01-02T03:04:05.120Z");
  expect(at(1_767_323_045n, 999_999_999)).toBe("2026-01-02T03:04:05.999999999Z");
  expect(at(-1n, 1)).toBe("1969-12-31T23:59:59.000000001Z");
  expect(isoTime(undefined)).toBeNull();
});

test("is shorter in tables", () => {
  expect(shortTime("2026-01-02T03:04:05.999999999Z")).toBe("2026-01-02T03:04:05Z");
  expect(shortTime(null)).toBeNull();
});
