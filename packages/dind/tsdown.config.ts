import { copyAddon } from "../../tools/koffi-addon.ts";
import { withoutLazyProperties } from "../../tools/lazy-builtins.ts";
import { shippedBundle } from "../../tools/shipped-bundle.ts";

/** The filter, which has to start fast and stay small. */
export default shippedBundle({
  entry: { "dind-filter": "src/filter/main.ts" },
  withoutSideEffects: true,
  plugins: [withoutLazyProperties()],
  finish: (outDir) => copyAddon(outDir, import.meta.url),
});
