import { describe, expect, test } from "vitest";
import { snapshotKey, type SnapshotInfo } from "@aeon/core";
import { compileFilters } from "./compile.ts";

const base: SnapshotInfo = {
  name: snapshotKey("ns/1/base"),
  kind: "committed",
  createdAt: 1n,
  updatedAt: 1n,
  labels: {},
};
const child: SnapshotInfo = {
  name: snapshotKey("ns/2/child"),
  parent: base.name,
  kind: "active",
  createdAt: 2n,
  updatedAt: 2n,
  labels: { "containerd.io/snapshot.ref": "sha256:abc", "a.b.c": "x" },
};

async function matching(...filters: string[]): Promise<string[]> {
  const matches = await compileFilters(filters);
  return [base, child].filter(matches).map(({ name }) => name);
}

describe("filters over snapshots", () => {
  test.each<[readonly string[], readonly SnapshotInfo[]]>([
    [[], [base, child]],
    [[""], [base, child]],
    [
      ["name==none", ""],
      [base, child],
    ],
    [["name"], [base, child]],
    [["parent"], [base, child]],
    [['parent==""'], [base]],
    [["parent==ns/1/base"], [child]],
    [["kind==active"], [child]],
    [["kind==ACTIVE"], []],
    [["kind==view", "kind==committed"], [base]],
    [["kind==active,name==ns/1/base"], []],
    [["labels"], []],
    [["labels.a.b.c"], [child]],
    [['labels."a.b.c"==x'], [child]],
    [["labels.a.b.c!=x"], [base]],
    [["labels.none!=x"], [base, child]],
    [['labels.none!=""'], []],
    [["labels.none"], []],
    [["labels.constructor"], []],
    [["unknown"], []],
    [["unknown!=x"], [base, child]],
    [['labels."containerd.io/snapshot.ref"==sha256:abc,parent=="ns/1/base"'], [child]],
    [["name~=chi"], [child]],
    [["name~=^ns/\\d/base$"], [base]],
    [['name~="^ns/[12]"'], [base, child]],
    [["name~=(?i)CHILD"], [child]],
    [["labels.none~=^$"], [base, child]],
    [["name~=(a"], []],
    [["name~=(?=a)"], []],
  ])("%j", async (filters, expected) => {
    expect(await matching(...filters)).toEqual(expected.map(({ name }) => name));
  });

  test("refuses a filter with a wrong part beside right ones", async () => {
    await expect(matching("name", "name==")).rejects.toMatchObject({ reason: "SNAPSHOT_FILTER_INVALID" });
  });

  test("a pattern that back-tracking engines choke on takes linear time", async () => {
    const matches = await compileFilters(["name~=^(a+)+$"]);
    const started = performance.now();
    expect(matches({ ...base, name: snapshotKey(`${"a".repeat(2000)}b`) })).toBe(false);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
