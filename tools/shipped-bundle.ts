import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Rolldown, type UserConfig } from "tsdown";
import { bundledPackages } from "./bundled-packages.ts";

export interface ShippedBundle {
  /** Sources by the name of the program. */
  readonly entry: Readonly<Record<string, string>>;
  readonly plugins?: readonly Rolldown.Plugin[];
  /** Further rules for finding modules. */
  readonly resolve?: { readonly alias?: Record<string, string>; readonly mainFields?: string[] };
  /** Leaves out what is imported and not used, also when loading it would do something. */
  readonly withoutSideEffects?: boolean;
  /** Called when the files are there, with their folder. */
  readonly finish?: (outDir: string) => void;
}

/** Programs with everything they need in `dist/bin`, so that the folder can be copied to a host. */
export function shippedBundle(options: ShippedBundle): UserConfig {
  const { entry, plugins = [], resolve = {}, withoutSideEffects = false, finish } = options;
  return defineConfig({
    entry: { ...entry },
    outDir: "dist/bin",
    platform: "node",
    format: "esm",
    target: "node24",
    dts: false,
    // What runs from this folder loads parts of it later.
    clean: false,
    minify: true,
    hash: false,
    fixedExtension: false,
    outputOptions: { chunkFileNames: "[name].js" },
    deps: { alwaysBundle: [/.*/], onlyBundle: false },
    inputOptions: {
      resolve: { conditionNames: ["@aeon/source", "import", "node", "default"], ...resolve },
      ...(withoutSideEffects && { treeshake: { moduleSideEffects: false } }),
    },
    plugins: [...plugins, bundledPackages(Object.keys(entry)[0] ?? "")],
    hooks: {
      "build:done": ({ options: { outDir } }) => {
        finish?.(outDir);
        writeFileSync(join(outDir, "package.json"), `${JSON.stringify({ type: "module" })}\n`);
      },
    },
  });
}
