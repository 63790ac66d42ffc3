import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "tsdown";

/** Programs as single files, which start in a fifth of the time; disposing deletes them. */
export interface Programs extends Disposable {
  /** Path of a program by its name. */
  readonly path: (name: "one-restore" | "many-containers" | "worker") => string;
}

/** Bundles the lives of nodes that these tests cut short, and the worker they start. */
export async function bundlePrograms(): Promise<Programs> {
  // Below the package, so that native modules are found in node_modules.
  const parent = join(import.meta.dirname, "../../dist");
  mkdirSync(parent, { recursive: true });
  const outDir = mkdtempSync(join(parent, "crash-"));
  const packages = join(import.meta.dirname, "../../..");
  await build({
    entry: {
      "one-restore": join(import.meta.dirname, "one-restore.ts"),
      "many-containers": join(import.meta.dirname, "many-containers.ts"),
      worker: join(packages, "rootfs-backup/src/worker/main.ts"),
      // Started by file name, beside the code that starts them.
      "process-spawner": join(packages, "rootfs-backup/src/worker/process-spawner.ts"),
      "disk-worker": join(packages, "snapshotter/src/overlay/disk-worker.ts"),
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
    deps: { alwaysBundle: [/./], neverBundle: ["koffi"], onlyBundle: false },
    inputOptions: { resolve: { conditionNames: ["@aeon/source", "node", "import", "module", "default"] } },
  });
  return {
    path: (name) => join(outDir, `${name}.js`),
    [Symbol.dispose]: () => rmSync(outDir, { recursive: true }),
  };
}
