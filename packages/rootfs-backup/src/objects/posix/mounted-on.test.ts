import { expect, test } from "vitest";
import { fileSystemOf, warningsFor } from "./mounted-on.ts";

const table = String.raw`/dev/vda1 / ext4 rw,relatime 0 0
tmpfs /run tmpfs rw 0 0
JuiceFS:data /mnt/a\040b fuse.juicefs rw 0 0
server:/x /mnt nfs4 rw,vers=4.2 0 0
/dev/vdb /mnt xfs rw 0 0
`;

test("finds the mount that a path is on", () => {
  expect(fileSystemOf("/var/lib/aeon", table)).toBe("ext4");
  expect(fileSystemOf("/run/x", table)).toBe("tmpfs");
  expect(fileSystemOf("/runx", table)).toBe("ext4");
  expect(fileSystemOf("/mnt/a b/store", table)).toBe("fuse.juicefs");
  expect(fileSystemOf("/mnt/store", table)).toBe("xfs");
});

test("warns of what is less durable than it says", () => {
  expect(warningsFor("/s", "fuse.juicefs").join()).toMatch(/--writeback/);
  expect(warningsFor("/s", "tmpfs").join()).toMatch(/in memory/);
  expect(warningsFor("/s", "nfs4")).toEqual([]);
});
