import { describe, expect, test } from "vitest";
import { idMapsOf } from "./id-map.ts";

const uid = "containerd.io/snapshot/uidmapping";
const gid = "containerd.io/snapshot/gidmapping";

describe("id-map labels", () => {
  test("absent: no maps", () => {
    expect(idMapsOf({ other: "x" })).toBeUndefined();
  });

  test("give the host ids of the container's root", () => {
    expect(idMapsOf({ [uid]: "0:1000:65536", [gid]: "5:7:1,0:2000:5" })).toEqual({
      uidmap: "0:1000:65536",
      gidmap: "5:7:1,0:2000:5",
      root: { uid: 1000, gid: 2000 },
    });
  });

  test.each([
    "",
    "garbage",
    "0:1000",
    "0:1000:0",
    "1:1000:10",
    "0:1000:10,0:5:1",
    "-1:0:1",
    " 0:1:1",
    "0:1:1,",
    "0x0:1:1",
    "0:4294967295:2",
    "4294967295:0:2",
    "0:99999999999:1",
    Array.from({ length: 400 }, (_, index) => `${index}:${index}:1`).join(","),
  ])("refuses %j", (text) => {
    expect(() => idMapsOf({ [uid]: text, [gid]: "0:0:1" })).toThrow(/label .*uidmapping/);
    expect(() => idMapsOf({ [uid]: "0:0:1", [gid]: text })).toThrow(/label .*gidmapping/);
  });
});
