import { readFile } from "node:fs/promises";
import { errorMessage, linux } from "@aeon/core";

/** Mount points in the text of /proc/PID/mountinfo (proc(5)), in mount order. */
export function parseMountPoints(mountinfo: string): readonly string[] {
  return mountinfo.split("\n").flatMap((line) => {
    const point = line.split(" ")[4];
    return point === undefined ? [] : [unescape(point)];
  });
}

// The kernel writes space, tab, newline and backslash in octal.
const unescape = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Mount points at or below a folder in this mount namespace, in mount order. */
export async function mountsBelow(folder: string): Promise<readonly string[]> {
  const points = parseMountPoints(await readFile("/proc/self/mountinfo", "utf8"));
  return points.filter((point) => point === folder || point.startsWith(`${folder}/`));
}

/** Unmounts everything at or below a folder, newest first; answers one message for each mount that stayed. */
export async function unmountBelow(folder: string): Promise<readonly string[]> {
  const failures: string[] = [];
  for (const point of (await mountsBelow(folder)).toReversed()) {
    // A busy mount is detached: its files vanish from the folder now, the rest ends with the last user.
    await linux
      .unmount(point, linux.unmountFlags.noFollow)
      .catch(() => linux.unmount(point, linux.unmountFlags.noFollow | linux.unmountFlags.detach))
      .catch((error: unknown) => failures.push(errorMessage(error)));
  }
  return failures;
}
