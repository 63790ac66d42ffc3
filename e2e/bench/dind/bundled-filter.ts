import { join } from "node:path";
import { run, withFileLock } from "@aeon/standalone";
import { testCache } from "@aeon/testkit";
import { filterFlags } from "../../../packages/dind/src/controller/filter-process.ts";

const workspace = join(import.meta.dirname, "../../..");

/** Arguments of Node that run the filter as it is shipped; bundled first. */
export async function bundledFilter(signal: AbortSignal): Promise<readonly string[]> {
  await withFileLock(join(testCache, "bundle.lock"), async () => {
    await run(join(workspace, "node_modules/.bin/nx"), ["run", "@aeon/dind:bundle"], {
      cwd: workspace,
      signal,
      env: { ...process.env, NX_DAEMON: "false", NX_TUI: "false", DO_NOT_TRACK: "1" },
    });
  });
  return [...filterFlags, join(workspace, "packages/dind/dist/bin/dind-filter.cjs")];
}
