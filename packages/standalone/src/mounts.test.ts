import { expect, test } from "vitest";
import { parseMountPoints } from "./mounts.ts";

test("reads mount points in order and undoes the kernel's octal escapes", () => {
  expect(
    parseMountPoints(
      "36 35 98:0 / /mnt rw - ext4 /dev/sda rw\n37 36 0:50 / /mnt/a\\040b\\134c rw,relatime shared:1 - overlay overlay rw\n",
    ),
  ).toEqual(["/mnt", "/mnt/a b\\c"]);
});
