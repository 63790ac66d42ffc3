import { cp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { environment } from "./environment.ts";
import { withFileLock } from "./file-lock.ts";
import { run } from "./run.ts";

/** aeon's own programs, each one file for Node. */
export interface WorkspacePrograms {
  readonly agent: string;
  readonly aeonctl: string;
}

export interface BundleOptions {
  /** The checkout. */
  readonly workspace: string;
  /** Folder that gets the programs, so that a later build in the checkout does not change those that run. */
  readonly target: string;
  /** File whose lock keeps two builds apart. */
  readonly lock: string;
  readonly signal: AbortSignal;
}

/** Bundles the agent and aeonctl from their sources, quick when nothing changed, and copies them to the target. */
export async function bundlePrograms(options: BundleOptions): Promise<WorkspacePrograms> {
  const { workspace, target, lock, signal } = options;
  await rm(target, { recursive: true, force: true });
  await withFileLock(
    lock,
    async () => {
      await bundle(workspace, signal);
      for (const name of ["agent", "aeonctl"])
        await cp(join(workspace, "packages", name, "dist/bin"), join(target, name), { recursive: true });
    },
    signal,
  );
  await writeFile(join(target, "package.json"), '{"type":"module"}\n');
  return { agent: join(target, "agent/aeon.js"), aeonctl: join(target, "aeonctl/aeonctl.js") };
}

async function bundle(workspace: string, signal: AbortSignal): Promise<void> {
  await run(
    join(workspace, "node_modules/.bin/nx"),
    ["run-many", "--targets=bundle", "--projects=@aeon/agent,@aeon/aeonctl", "--output-style=static"],
    {
      cwd: workspace,
      signal,
      env: {
        ...environment(),
        NX_DAEMON: "false",
        NX_TUI: "false",
        DO_NOT_TRACK: "1",
        CI: "true",
        NO_COLOR: "1",
        FORCE_COLOR: "0",
      },
    },
  );
}
