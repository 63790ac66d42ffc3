import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "tsdown";
import { copyAddon } from "../../tools/koffi-addon.ts";
import { withoutLazyProperties } from "../../tools/lazy-builtins.ts";

/** The filter with everything it needs, so that it starts fast and stays small. */
export default defineConfig({
  entry: { "dind-filter": "src/filter/main.ts" },
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
    resolve: { conditionNames: ["@aeon/source", "import", "node", "default"] },
    treeshake: { moduleSideEffects: false },
  },
  plugins: [withoutLazyProperties()],
  hooks: {
    "build:done": ({ options }) => {
      copyAddon(options.outDir, import.meta.url);
      writeFileSync(join(options.outDir, "package.json"), `${JSON.stringify({ type: "module" })}\n`);
    },
  },
});
