import { lstat, readFile, realpath, stat } from "node:fs/promises";
import { errorMessage } from "@aeon/core";
import { errors } from "../errors.ts";
import { matcherFor, type Injection } from "../rules/injection.ts";
import { replaceFile } from "../spec/replace-file.ts";
import { specFacts } from "../spec/spec-facts.ts";
import { readSpec, type SpecText } from "../spec/spec-text.ts";
import { spliceSpec } from "../spec/splice.ts";
import type { ToolkitPaths } from "../toolkit/toolkit-paths.ts";
import { readCompiledPlan, type CompiledPlan } from "./compiled-plan.ts";
import { guardOf } from "./guard.ts";
import { appendLog } from "./runtime-log.ts";

/** Relative: the folder is entered before, because its name may be no UTF-8. */
const configName = "config.json";

/**
 * Puts the rules' hooks into the config.json of the working directory. Stale rules are compiled first; broken ones
 * leave the last good ones in force, and are refused when there are none. A config.json that is unreadable or no
 * JSON is left to the runtime to refuse.
 */
export async function injectHooks(paths: ToolkitPaths, isStale: boolean): Promise<void> {
  const compiled = await (isStale ? freshPlan(paths) : currentPlan(paths));
  const { plan, log } = compiled;
  if (plan.rules.length === 0) return;
  const file = (await lstat(configName)).isSymbolicLink() ? await realpath(configName) : configName;
  const bytes = await readFile(file).catch(() => undefined);
  const spec = bytes && readSpec(bytes);
  if (spec === undefined) return;
  const injection = await injectionFor(spec, compiled, paths.state);
  const changed = spliceSpec(spec, injection);
  if (changed === undefined) return;
  const like = await stat(file);
  await replaceFile(file, changed, { like }).catch((error: unknown) => {
    throw errors.SPEC_WRITE_FAILED(`hooks cannot be written into ${configName}: ${errorMessage(error)}`, {
      cause: error,
    });
  });
  appendLog(log, "info", `rules ${injection.rules.join(", ")} applied to bundle ${process.cwd()}`);
}

async function injectionFor(
  spec: SpecText,
  { plan, record }: CompiledPlan,
  state: string,
): Promise<Injection> {
  const matcher = await matcherFor(plan, guardOf({ state, record }));
  return matcher.injectionFor(specFacts(spec));
}

async function currentPlan(paths: ToolkitPaths): Promise<CompiledPlan> {
  return (await readCompiledPlan(paths.state)) ?? freshPlan(paths);
}

async function freshPlan(paths: ToolkitPaths): Promise<CompiledPlan> {
  const last = await readCompiledPlan(paths.state);
  // Checking rules takes more code than applying them: it is loaded when they changed.
  const { compileState } = await import("./compile-state.ts");
  try {
    return await compileState(paths);
  } catch (error) {
    if (last === undefined) throw error;
    appendLog(
      last.log,
      "error",
      `rules are broken, the last good ones stay in force: ${errorMessage(error)}`,
    );
    return last;
  }
}
