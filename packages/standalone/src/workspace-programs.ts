import { join } from "node:path";
import { environment } from "./environment.ts";
import { run } from "./run.ts";

/** aeon's own programs, each one file for Node. */
export interface WorkspacePrograms {
  readonly agent: string;
  readonly aeonctl: string;
}

/** Bundles the agent and aeonctl from their sources; quick when nothing changed. */
export async function bundlePrograms(workspace: string, signal: AbortSignal): Promise<WorkspacePrograms> {
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
  return {
    agent: join(workspace, "packages/agent/dist/bin/aeon.js"),
    aeonctl: join(workspace, "packages/aeonctl/dist/bin/aeonctl.js"),
  };
}
