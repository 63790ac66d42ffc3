import { defineConfig } from "tsdown";
import { bundledPackages } from "../../tools/bundled-packages.ts";
import { copyAddon } from "../../tools/koffi-addon.ts";

/** Bundled with everything it needs, so that it starts fast and the folder can be copied to a host. */
export default defineConfig({
  entry: { aeonctl: "src/main.ts", "kubectl-aeon": "src/kubectl/main.ts" },
  outDir: "dist/bin",
  platform: "node",
  format: "esm",
  target: "node24",
  dts: false,
  // A build beside a running aeonctl replaces its files one by one.
  clean: false,
  outputOptions: { chunkFileNames: "aeonctl-[name].js" },
  minify: true,
  plugins: [bundledPackages("aeonctl")],
  fixedExtension: false,
  deps: { alwaysBundle: [/.*/], onlyBundle: false },
  hooks: { "build:done": ({ options }) => copyAddon(options.outDir, import.meta.url) },
  inputOptions: { resolve: { conditionNames: ["@aeon/source", "import", "node", "default"] } },
});
