import { join } from "node:path";
import { withFileLock } from "@aeon/standalone";
import { build } from "tsdown";

const outDir = join(import.meta.dirname, "../dist");

/**
 * Bundles a program beside this file with everything it imports and answers the path of the result, so that
 * starting it costs what starting the shipped agent costs.
 */
export async function bundle(program: "serve"): Promise<string> {
  await withFileLock(join(outDir, ".lock"), async () => {
    await build({
      entry: {
        [program]: join(import.meta.dirname, `${program}.ts`),
        // Started by file name, beside the code that starts it.
        "disk-worker": join(import.meta.dirname, "../../packages/snapshotter/src/overlay/disk-worker.ts"),
      },
      outDir,
      config: false,
      clean: false,
      dts: false,
      format: "esm",
      fixedExtension: false,
      hash: false,
      platform: "node",
      target: "node24",
      logLevel: "error",
      // Native: found through node_modules, of which the output folder lies below.
      deps: { alwaysBundle: [/./], neverBundle: ["koffi"], onlyBundle: false },
      inputOptions: { resolve: { conditionNames: ["@aeon/source", "node", "import", "module", "default"] } },
    });
  });
  return join(outDir, `${program}.js`);
}
