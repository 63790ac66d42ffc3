import type { linux } from "@aeon/core";

/** Which device files an archive holds: all of them, or those that give nothing away. */
export type DevicePolicy = "all" | "harmless";

/** null, zero, full, random, urandom and tty (linux/Documentation/admin-guide/devices.txt). */
const harmless = new Set(["1:3", "1:5", "1:7", "1:8", "1:9", "5:0"]);

export const isAllowed = (
  kind: "character" | "block",
  { major, minor }: linux.DeviceNumber,
  policy: DevicePolicy,
): boolean => policy === "all" || (kind === "character" && harmless.has(`${major}:${minor}`));
