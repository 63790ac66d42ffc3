import { expect, test } from "vitest";
import { isolationOf, mappedRoot, parseIdMap } from "./user-namespace.ts";

const map = parseIdMap("         0     100000      65536\n     65536          7          1\n");
const main = (isOwn: boolean, ownsNetwork: boolean) => ({
  pid: 7,
  userNamespace: { isOwn, ownsNetwork, uids: map, gids: map },
});

test("reads the kernel's maps", () => {
  expect(map).toEqual([
    { containerID: 0, hostID: 100_000, size: 65_536 },
    { containerID: 65_536, hostID: 7, size: 1 },
  ]);
  expect(mappedRoot(map)).toBe(100_000);
  expect(parseIdMap("")).toEqual([]);
});

test.each([
  [true, true, "auto", "user-namespace"],
  [true, true, "always", "user-namespace"],
  [true, true, "never", "reduced-privileges"],
  [false, true, "auto", "reduced-privileges"],
  [true, false, "auto", "reduced-privileges"],
] as const)("own namespace %s, its network %s, setting %s: %s", (isOwn, ownsNetwork, setting, kind) => {
  const isolation = isolationOf(main(isOwn, ownsNetwork), setting);
  expect(isolation.kind).toBe(kind);
  const { reason = "none" } = "reason" in isolation ? isolation : {};
  expect(reason).not.toBe("");
});
