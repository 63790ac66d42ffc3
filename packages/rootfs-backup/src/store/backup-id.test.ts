import { snapshotKey } from "@aeon/core";
import { expect, test } from "vitest";
import { endOfFinal, isBackupId, newBackupId, parseBackupId } from "./backup-id.ts";

test("new ids are valid, differ, and sort by time", () => {
  const early = newBackupId(new Date("2026-01-02T03:04:05Z"));
  const late = newBackupId(new Date("2026-01-02T03:04:06Z"));
  expect(early).toMatch(/^20260102-030405-[0-9a-f]{10}$/);
  expect(isBackupId(early)).toBe(true);
  expect(early < late).toBe(true);
  expect(newBackupId(new Date(0))).not.toBe(newBackupId(new Date(0)));
  const end = endOfFinal(snapshotKey("default/1/a"), 5n);
  expect(newBackupId(new Date(0), end)).toBe(`19700101-000000-${end}`);
  expect(end).not.toBe(endOfFinal(snapshotKey("default/1/a"), 6n));
});

test.each(["", ".", "..", "a/b", "../a", "-a", "A", "a.json", "a\0", "a".repeat(129)])(
  "%j is no id",
  (text) => {
    expect(() => parseBackupId(text)).toThrow(/is not the id of a backup/);
  },
);
