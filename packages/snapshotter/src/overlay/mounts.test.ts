import { describe, expect, test } from "vitest";
import { snapshotKey, type Labels, type SnapshotKind } from "@aeon/core";
import { mountsOf } from "./mounts.ts";
import type { SnapshotRecord } from "./record.ts";

const settings = { snapshots: "/r/snapshots", options: ["index=off"], idmap: true };
const record = (kind: SnapshotKind, labels: Labels = {}): SnapshotRecord => ({
  id: 9,
  key: snapshotKey("k"),
  kind,
  createdAt: 0n,
  updatedAt: 0n,
  labels,
});
const maps = {
  "containerd.io/snapshot/uidmapping": "0:1000:10",
  "containerd.io/snapshot/gidmapping": "0:2000:10",
};

describe("the mount of a snapshot", () => {
  test.each([
    ["active", [], { type: "bind", source: "/r/snapshots/9/fs", options: ["rw", "rbind"] }],
    ["view", [], { type: "bind", source: "/r/snapshots/9/fs", options: ["ro", "rbind"] }],
    ["view", [3], { type: "bind", source: "/r/snapshots/3/fs", options: ["ro", "rbind"] }],
    [
      "active",
      [3],
      {
        type: "overlay",
        source: "overlay",
        options: [
          "workdir=/r/snapshots/9/work",
          "upperdir=/r/snapshots/9/fs",
          "lowerdir=/r/snapshots/3/fs",
          "index=off",
        ],
      },
    ],
    [
      "view",
      [3, 2],
      {
        type: "overlay",
        source: "overlay",
        options: ["lowerdir=/r/snapshots/3/fs:/r/snapshots/2/fs", "index=off"],
      },
    ],
  ] as const)("%s on ancestors %j", (kind, ancestors, expected) => {
    expect(mountsOf(record(kind), ancestors, settings)).toEqual([{ target: "", ...expected }]);
  });

  test("carries id maps first, when the kernel can map", () => {
    const [bind] = mountsOf(record("active", maps), [], settings);
    expect(bind?.options).toEqual(["uidmap=0:1000:10", "gidmap=0:2000:10", "rw", "rbind"]);
    const [overlay] = mountsOf(record("active", maps), [3], settings);
    expect(overlay?.options.slice(0, 3)).toEqual([
      "uidmap=0:1000:10",
      "gidmap=0:2000:10",
      "workdir=/r/snapshots/9/work",
    ]);
    const [plain] = mountsOf(record("active", maps), [], { ...settings, idmap: false });
    expect(plain?.options).toEqual(["rw", "rbind"]);
  });
});
