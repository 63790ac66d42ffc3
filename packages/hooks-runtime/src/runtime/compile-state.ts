import { mkdir, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errorMessage } from "@aeon/core";
import { matcherFor, type Injection } from "../rules/injection.ts";
import { loadRules } from "../rules/load-rules.ts";
import { removeAbandoned, replaceFile } from "../spec/replace-file.ts";
import { readToolkitConfig, type ToolkitConfig } from "../toolkit/toolkit-config.ts";
import type { ToolkitPaths } from "../toolkit/toolkit-paths.ts";
import { compiledPlanPath, planScriptPath, type CompiledPlan } from "./compiled-plan.ts";
import { appendLog } from "./runtime-log.ts";
import { runsPath } from "../runs/runs-folder.ts";
import { guardOf, guardPath, guardScript, guardTools } from "./guard.ts";
import { planScript, type WatchedPath } from "./plan-script.ts";

/** The kernel's clock for files may be behind by a tick; a plan must never look newer than a change it missed. */
const clockSlackMs = 20;

/**
 * Reads configuration and rules and writes what launcher and helper work with. Throws as `loadRules` and
 * `readToolkitConfig`, and leaves what was written before.
 */
export async function compileState(paths: ToolkitPaths): Promise<CompiledPlan> {
  const startedAt = new Date(Date.now() - clockSlackMs);
  const config = await readToolkitConfig(paths);
  const watched = await watchedPaths(paths, config);
  const plan = await loadRules({ file: config.hooks, hooksD: config.hooksD });
  const compiled: CompiledPlan = {
    plan,
    log: { log: config.log, logLevel: config.logLevel },
    record: config.record,
  };
  await writeState(paths, compiled, watched, startedAt).catch((error: unknown) => {
    // The rules are right: containers get them all the same, only slower.
    appendLog(
      compiled.log,
      "error",
      `compiled rules cannot be written to ${paths.state}: ${errorMessage(error)}`,
    );
  });
  return compiled;
}

async function writeState(
  paths: ToolkitPaths,
  compiled: CompiledPlan,
  watched: readonly WatchedPath[],
  modifiedAt: Date,
): Promise<void> {
  const { plan } = compiled;
  await mkdir(paths.state, { recursive: true, mode: 0o755 });
  // What hooks print may be for nobody else.
  await mkdir(runsPath(paths.state), { recursive: true, mode: 0o700 });
  await replaceFile(guardPath(paths.state), guardScript(guardTools), {
    durable: true,
    like: ownProgram(),
  });
  await replaceFile(compiledPlanPath(paths.state), JSON.stringify(compiled), { durable: true });
  const self = planScriptPath(paths.state);
  const script = planScript({
    unconditional: await unconditionalInjection(compiled, paths.state),
    watched,
    self,
    closed: plan.rules.some(({ onFailure }) => onFailure === "fail"),
  });
  await removeAbandoned(paths.state);
  await replaceFile(self, script, { durable: true, modifiedAt });
}

const ownProgram = () => ({ mode: 0o755, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 });

async function unconditionalInjection(
  { plan, record }: CompiledPlan,
  state: string,
): Promise<Injection | undefined> {
  const kinds = new Set(plan.rules.map(({ when }) => when.kind));
  if ([...kinds].some((kind) => kind !== "always" && kind !== "never")) return undefined;
  return (await matcherFor(plan, guardOf({ state, record }))).injectionFor({});
}

/** Renaming a file over another changes its folder; writing into it changes the file. */
async function watchedPaths(paths: ToolkitPaths, config: ToolkitConfig): Promise<readonly WatchedPath[]> {
  const names = [paths.config, config.hooks, dirname(paths.config), dirname(config.hooks), ...config.hooksD];
  for (const folder of config.hooksD)
    for (const name of await readdir(folder).catch(() => []))
      if (name.endsWith(".json")) names.push(join(folder, name));
  return Promise.all(
    [...new Set(names)].map(async (path) => ({
      path,
      exists: await stat(path).then(
        () => true,
        () => false,
      ),
    })),
  );
}
