import { admin } from "@aeon/proto";
import { expect, test } from "vitest";
import { enumName, enumNames, enumValue } from "./enum-name.ts";

test("names enum values as the rest of aeon does", () => {
  expect(enumName(admin.ContainerState, admin.ContainerState.BACKED_UP)).toBe("backed-up");
  expect(enumName(admin.ContainerState, 0)).toBe("unknown");
  expect(enumName(admin.ContainerState, 99)).toBe("unknown");
});

test("lists and finds every name but the unspecified", () => {
  expect(enumNames(admin.SnapshotKind)).toEqual(["view", "active", "committed"]);
  for (const name of enumNames(admin.ContainerState))
    expect(enumName(admin.ContainerState, enumValue(admin.ContainerState, name))).toBe(name);
  expect(() => enumValue(admin.SnapshotKind, "solid")).toThrow("solid is not one of view, active, committed");
});
