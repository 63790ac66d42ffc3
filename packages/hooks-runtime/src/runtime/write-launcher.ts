import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { replaceFile } from "../spec/replace-file.ts";
import { readToolkitConfig } from "../toolkit/toolkit-config.ts";
import type { ToolkitPaths } from "../toolkit/toolkit-paths.ts";
import { planScriptPath } from "./compiled-plan.ts";
import { findRuntimes } from "./find-runtime.ts";
import { launcherScript } from "./launcher.ts";
import { isUsableSed } from "./usable-sed.ts";

export interface WriteLauncherOptions {
  readonly paths: ToolkitPaths;
  /** Folder below which the paths are. */
  readonly prefix: string;
  /** Absolute command that starts the helper, such as Node and a script. */
  readonly helper: readonly string[];
  /** PATH in which low-level runtimes are looked for by name. */
  readonly searchPath: string;
}

/** Where the launcher lies. */
export const launcherPath = ({ programs }: ToolkitPaths): string => join(programs, "container-hooks-runtime");

/**
 * Writes the launcher for the configured low-level runtimes and answers the one it will run. Throws
 * `LOW_LEVEL_RUNTIME_MISSING`, `LOW_LEVEL_RUNTIME_RECURSION` or `TOOLKIT_CONFIG_INVALID`.
 */
export async function writeLauncher(options: WriteLauncherOptions): Promise<string> {
  const { paths, prefix, helper, searchPath } = options;
  const { runtimes } = await readToolkitConfig(paths);
  const [runtime = "", ...alternatives] = await findRuntimes(runtimes, searchPath);
  const script = launcherScript({
    runtime,
    alternatives,
    helper: [...helper, prefix],
    plan: planScriptPath(paths.state),
    env: await tool("env"),
    sed: await usableSed(),
  });
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  await replaceFile(launcherPath(paths), script, { durable: true, like: { mode: 0o755, uid, gid } });
  return runtime;
}

/** Undefined where sed is another than GNU's. */
async function usableSed(): Promise<string | undefined> {
  const sed = await tool("sed");
  return (await isUsableSed(sed)) ? sed : undefined;
}

async function tool(name: string): Promise<string> {
  for (const folder of ["/usr/bin", "/bin"]) {
    const path = join(folder, name);
    const usable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return path;
  }
  throw errors.PROGRAM_NOT_FOUND(`${name} is neither in /usr/bin nor in /bin`, {
    details: { program: name },
  });
}
