import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "tsdown";
import { filterBundle } from "../../tools/filter-bundle.ts";
import { copyAddon } from "../../tools/koffi-addon.ts";

/** The filter alone, as the agent's bundle has it too. */
export default defineConfig({
  ...filterBundle("src/filter/main.ts"),
  hooks: {
    "build:done": ({ options }) => {
      copyAddon(options.outDir, import.meta.url);
      writeFileSync(join(options.outDir, "package.json"), `${JSON.stringify({ type: "module" })}\n`);
    },
  },
});
