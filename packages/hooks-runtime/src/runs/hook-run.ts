import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { stages, type Stage } from "../rules/stage.ts";

/** How a hook ran once. */
export interface HookRun {
  readonly rule: string;
  readonly stage: Stage;
  /** Absolute path of the hook. */
  readonly program: string;
  /** Whether its failure failed the container. */
  readonly policy: "fail" | "ignore";
  /** Id of the container at the runtime. */
  readonly containerId: string;
  readonly namespace?: string | undefined;
  readonly pod?: string | undefined;
  /** Name of the container within its pod. */
  readonly container?: string | undefined;
  /** Exit status; 128 and more: ended by a signal. */
  readonly status: number;
  /** Nanoseconds since the epoch. */
  readonly startedAt: bigint;
  readonly endedAt: bigint;
  /** The end of what it wrote to stdout and stderr. */
  readonly output: string;
}

/** More cannot be a run that the guard wrote. */
const largestRun = 1 << 20;

const whatSchema = v.object({
  rule: v.string(),
  stage: v.picklist(stages),
  program: v.string(),
  policy: v.picklist(["fail", "ignore"]),
  namespace: v.optional(v.string()),
  pod: v.optional(v.string()),
  container: v.optional(v.string()),
});

/** The runs kept in a folder, the latest first; what is damaged or half written is left out. */
export async function readHookRuns(folder: string): Promise<readonly HookRun[]> {
  const names = await readdir(folder).catch(() => []);
  const runs = await Promise.all(names.map((name) => readHookRun(join(folder, name))));
  return runs.filter((run) => run !== undefined).toSorted((a, b) => Number(b.startedAt - a.startedAt));
}

/** One run; undefined when the file is gone, damaged or not written to its end. */
export async function readHookRun(path: string): Promise<HookRun | undefined> {
  const bytes = await readFile(path).catch(() => undefined);
  return bytes === undefined || bytes.length > largestRun ? undefined : parseHookRun(bytes.toString("utf8"));
}

/** A run as the guard writes it: what ran, then status, times and container, then the output. */
export function parseHookRun(text: string): HookRun | undefined {
  const parts = /^([^\n]*)\n(\d{1,3}) (\d{1,19}) (\d{1,19}) ([^\n]*)\n(.*)\nend\n$/s.exec(text);
  if (parts === null) return undefined;
  const [, what = "", status, from = "0", to = "0", containerId = "", output = ""] = parts;
  const checked = v.safeParse(whatSchema, jsonOf(what));
  if (!checked.success) return undefined;
  const [startedAt, endedAt] = [BigInt(from), BigInt(to)];
  return { ...checked.output, containerId, status: Number(status), startedAt, endedAt, output };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
