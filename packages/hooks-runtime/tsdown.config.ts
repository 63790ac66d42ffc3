import { shippedBundle } from "../../tools/shipped-bundle.ts";

export default shippedBundle({
  entry: { "container-hooks-helper": "src/runtime/main.ts", "container-hooks-ctk": "src/ctk/main.ts" },
  // jsonc-parser names its modules only so.
  resolve: { mainFields: ["module", "main"] },
  // Every container waits for the helper: what it does not use must not be loaded.
  withoutSideEffects: true,
});
