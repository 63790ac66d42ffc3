import { readFile, writeFile } from "node:fs/promises";
import { errnoOf } from "@aeon/core";
import type { SpecDeviceRule } from "@aeon/oci";

const hierarchy = "/sys/fs/cgroup/devices";
/** Docker gives it to all of its containers; containers of CRI lack it. */
const consoleRule = "c 5:1 rwm";

/**
 * Those of the rules that a control group below a process's may have. Under cgroup v1 a group cannot have more than
 * its parent: the process's own gets the console, without which Docker starts nothing, and other rules are left out.
 */
export async function allowedBelow(
  pid: number,
  rules: readonly SpecDeviceRule[],
): Promise<readonly SpecDeviceRule[]> {
  const own = /^\d+:devices:(.*)$/m.exec(await readFile(`/proc/${pid}/cgroup`, "utf8"))?.[1];
  if (own === undefined) return rules;
  try {
    await writeFile(`${hierarchy}${own}/devices.allow`, consoleRule);
    const list = (await readFile(`${hierarchy}${own}/devices.list`, "utf8")).trim().split("\n");
    if (list.includes("a *:* rwm")) return rules;
    return rules.filter((rule) => !rule.allow || list.some((line) => covers(line, rule)));
  } catch (error) {
    // Mounted elsewhere; the runtime says what it cannot have.
    if (errnoOf(error) === "ENOENT") return rules;
    throw error;
  }
}

function covers(line: string, { type, major, minor, access = "" }: SpecDeviceRule): boolean {
  const [listed, numbers = "", may = ""] = line.split(" ");
  const [listedMajor, listedMinor] = numbers.split(":");
  return (
    listed === type &&
    isCovered(listedMajor, major) &&
    isCovered(listedMinor, minor) &&
    access.split("").every((letter) => may.includes(letter))
  );
}

const isCovered = (all: string | undefined, one: number | undefined): boolean =>
  all === "*" || all === String(one);
