import type { UserConfig } from "tsdown";
import { bundledPackages } from "./bundled-packages.ts";
import { withoutLazyProperties } from "./lazy-builtins.ts";

/**
 * The filter of Docker's API as a classic script with everything it needs: Node's loader of modules would cost 8 MB in
 * each of many processes. `main` is its source.
 */
export const filterBundle = (main: string): UserConfig => ({
  entry: { "dind-filter": main },
  outDir: "dist/bin",
  platform: "node",
  format: "cjs",
  target: "node24",
  dts: false,
  clean: false,
  minify: true,
  hash: false,
  // The folder's package.json says that .js files are modules.
  outExtensions: () => ({ js: ".cjs" }),
  outputOptions: { chunkFileNames: "[name].cjs" },
  deps: { alwaysBundle: [/.*/], onlyBundle: false },
  inputOptions: {
    resolve: { conditionNames: ["@aeon/source", "import", "node", "default"] },
    treeshake: { moduleSideEffects: false },
  },
  plugins: [withoutLazyProperties(), bundledPackages("dind-filter")],
});
