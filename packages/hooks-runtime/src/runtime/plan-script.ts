import type { Injection } from "../rules/injection.ts";
import { stages } from "../rules/stage.ts";
import { shellWord } from "./shell-word.ts";

/** A file or folder whose change makes a compiled plan stale. */
export interface WatchedPath {
  readonly path: string;
  readonly exists: boolean;
}

export interface PlanScriptOptions {
  /** What every container gets; undefined when that depends on the container. */
  readonly unconditional: Injection | undefined;
  readonly watched: readonly WatchedPath[];
  /** Path of the script itself, whose time is compared. */
  readonly self: string;
  /** Whether containers may not start when the helper cannot run. */
  readonly closed: boolean;
}

/** The kernel takes no longer argument. */
const longestArgument = 131_072;

/**
 * The plan as the launcher reads it: `_ch_plan` is `none`, `static` with `_ch_sed` to put hooks into a config.json
 * that has none, `dynamic` when each container has to be looked at, or `stale`.
 */
export function planScript(options: PlanScriptOptions): string {
  const { unconditional, watched, self, closed } = options;
  const tests = watched.map(({ path, exists }) =>
    exists
      ? `[ ! -e ${shellWord(path)} ] || [ ${shellWord(path)} -nt ${shellWord(self)} ]`
      : `[ -e ${shellWord(path)} ]`,
  );
  const program = unconditional && sedProgram(unconditional);
  const lines = [
    `_ch_closed=${closed ? "1" : ""}`,
    ...(program === undefined ? [] : [`_ch_sed=${shellWord(program)}`]),
    `_ch_plan=${kindOf(unconditional, program)}`,
    ...(tests.length > 0 ? [`if ${tests.join(" || ")}; then _ch_plan=stale; fi`] : []),
  ];
  return `${lines.join("\n")}\n`;
}

function kindOf(
  injection: Injection | undefined,
  program: string | undefined,
): "none" | "static" | "dynamic" {
  if (injection?.rules.length === 0) return "none";
  return program === undefined ? "dynamic" : "static";
}

/** Undefined when more than hooks is to be put in, or the program would be too long. */
function sedProgram({ rules, hooks, env, mounts, annotations }: Injection): string | undefined {
  if (rules.length === 0 || env.length + mounts.length + Object.keys(annotations).length > 0)
    return undefined;
  const lists = stages.flatMap((stage) => {
    const { first = [], last = [] } = hooks[stage] ?? {};
    return first.length + last.length === 0 ? [] : [[stage, [...first, ...last]] as const];
  });
  if (lists.length === 0) return undefined;
  const text = JSON.stringify(Object.fromEntries(lists)).replaceAll(/[\\&/]/g, String.raw`\$&`);
  const program = String.raw`s/^{\([[:space:]]*"\)/{"hooks":${text},\1/`;
  return Buffer.byteLength(program) < longestArgument / 2 ? program : undefined;
}
