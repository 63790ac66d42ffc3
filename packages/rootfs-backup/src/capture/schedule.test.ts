import { expect, test } from "vitest";
import { parseSchedule } from "./schedule.ts";

const at = (text: string): number => new Date(text).getTime();

test("a time span counts from the last time", async () => {
  expect((await parseSchedule("15m")).next(at("2026-01-02T03:04:05"))).toBe(at("2026-01-02T03:19:05"));
});

test.each([
  ["0 3 * * *", "2026-01-03T03:00:00"],
  ["*/10 * * * *", "2026-01-02T03:10:00"],
  ["30 * * * * *", "2026-01-02T03:04:30"],
  ["@monthly", "2026-02-01T00:00:00"],
])("%s goes by the clock", async (text, expected) => {
  expect((await parseSchedule(text)).next(at("2026-01-02T03:04:05"))).toBe(at(expected));
});

test.each(["", "never", "15", "10ms", "61 * * * *", "* * *"])("%j is refused", async (text) => {
  await expect(parseSchedule(text)).rejects.toMatchObject({ reason: "SCHEDULE_INVALID" });
});
