import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "tsdown";

/** The programs with everything they need, so that the folder can be copied to a host. */
export default defineConfig({
  entry: { "container-hooks-helper": "src/runtime/main.ts", "container-hooks-ctk": "src/ctk/main.ts" },
  outDir: "dist/bin",
  platform: "node",
  format: "esm",
  target: "node24",
  dts: false,
  clean: false,
  minify: true,
  hash: false,
  fixedExtension: false,
  outputOptions: { chunkFileNames: "[name].js" },
  deps: { alwaysBundle: [/.*/], onlyBundle: false },
  inputOptions: {
    resolve: {
      conditionNames: ["@aeon/source", "import", "node", "default"],
      // jsonc-parser names its modules only so.
      mainFields: ["module", "main"],
    },
    // Every container waits for the helper: what it does not use must not be loaded.
    treeshake: { moduleSideEffects: false },
  },
  hooks: {
    "build:done": ({ options }) =>
      writeFileSync(join(options.outDir, "package.json"), `${JSON.stringify({ type: "module" })}\n`),
  },
});
