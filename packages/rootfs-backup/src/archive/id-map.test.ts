import { describe, expect, test } from "vitest";
import { parseIdRanges, shiftXattr, toContainer, toHost } from "./id-map.ts";

const maps = {
  uids: [
    { container: 0, host: 100_000, size: 1000 },
    { container: 1000, host: 500, size: 1 },
  ],
  gids: [{ container: 0, host: 200_000, size: 65_536 }],
};

test("ids go there and back", () => {
  const [inside, outside] = [toContainer(maps), toHost(maps)];
  for (const id of [0, 1, 999, 1000]) expect(inside.uid(outside.uid(id) ?? -1)).toBe(id);
  expect(inside.uid(500)).toBe(1000);
  expect(inside.gid(200_042)).toBe(42);
});

test("ids outside of the map have no counterpart", () => {
  expect(toContainer(maps).uid(0)).toBeUndefined();
  expect(toContainer(maps).uid(101_000)).toBeUndefined();
  expect(toHost(maps).gid(65_536)).toBeUndefined();
});

test.each([
  ["0:100000:65536", [{ container: 0, host: 100_000, size: 65_536 }]],
  [
    "0:1:2,3:4:5",
    [
      { container: 0, host: 1, size: 2 },
      { container: 3, host: 4, size: 5 },
    ],
  ],
])("reads %s", (text, ranges) => {
  expect(parseIdRanges(text)).toEqual(ranges);
});

test.each(["", "0:1", "a:b:c", "0:1:2,", "-1:0:1", "0:1:2:3"])("reads nothing from %j", (text) => {
  expect(parseIdRanges(text)).toBeUndefined();
});

/** One entry of an ACL as hex; a negative id stands for none. */
function entry(tag: string, id: number): string {
  const bytes = Buffer.from(`${tag}000700ffffffff`, "hex");
  if (id >= 0) bytes.writeUInt32LE(id, 4);
  return bytes.toString("hex");
}

describe("the ids inside of attributes", () => {
  const shift = toContainer(maps);
  const shifted = (name: string, hex: string) =>
    shiftXattr({ name: Buffer.from(name), value: Buffer.from(hex, "hex") }, shift).value.toString("hex");

  test("named users and groups of an ACL are changed, the others are not", () => {
    const before = [
      "02000000",
      entry("01", -1),
      entry("02", 100_007),
      entry("04", -1),
      entry("08", 200_009),
      entry("20", -1),
    ];
    const after = [
      "02000000",
      entry("01", -1),
      entry("02", 7),
      entry("04", -1),
      entry("08", 9),
      entry("20", -1),
    ];
    expect(shifted("system.posix_acl_access", before.join(""))).toBe(after.join(""));
  });

  test("the root of a capability is changed", () => {
    const body = "0020000000000000000000000000000000";
    const before = `01000003${body.slice(0, 32)}a0860100`;
    expect(shifted("security.capability", before)).toBe(`01000003${body.slice(0, 32)}00000000`);
  });

  test("a capability without a root, and any other attribute, stays", () => {
    const plain = "0100000200200000000000000000000000000000";
    expect(shifted("security.capability", plain)).toBe(plain);
    expect(shifted("user.anything", "02000000")).toBe("02000000");
  });
});
