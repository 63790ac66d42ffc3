import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { compileState, launcherPath, toolkitPaths, writeLauncher } from "@aeon/hooks-runtime";
import { run, withFileLock } from "@aeon/standalone";
import { testCache } from "@aeon/testkit";

const workspace = join(import.meta.dirname, "../..");
/** Where the toolkit's shipped programs are bundled to. */
export const toolkitPrograms = join(workspace, "packages/hooks-runtime/dist/bin");

/** Bundles the toolkit's programs; quick when nothing changed. */
export async function bundleToolkit(signal?: AbortSignal): Promise<void> {
  await withFileLock(join(testCache, "bundle.lock"), async () => {
    await run(join(workspace, "node_modules/.bin/nx"), ["run", "@aeon/hooks-runtime:bundle"], {
      cwd: workspace,
      ...(signal && { signal }),
      env: { ...process.env, NX_DAEMON: "false", NX_TUI: "false", DO_NOT_TRACK: "1" },
    });
  });
}

/** Installs the bundled toolkit below a folder, in front of a low-level runtime, and answers the launcher's path. */
export async function installToolkit(prefix: string, runtime: string, rules: object): Promise<string> {
  const paths = toolkitPaths(prefix);
  for (const name of ["etc/container-hooks", "usr/bin"]) await mkdir(join(prefix, name), { recursive: true });
  await writeFile(paths.config, `[container-hooks-runtime]\nruntimes = [${JSON.stringify(runtime)}]\n`);
  await writeFile(paths.hooks, JSON.stringify(rules), { mode: 0o644 });
  const helper = [process.execPath, join(toolkitPrograms, "container-hooks-helper.js")];
  await writeLauncher({ paths, prefix, helper, searchPath: "" });
  await compileState(paths);
  return launcherPath(paths);
}
