import { definePlugin } from "@aeon/core";
import * as v from "valibot";

/** Never finishes stopping. */
export default definePlugin({
  name: "stubborn",
  config: v.optional(v.strictObject({}), {}),
  async start() {
    return { [Symbol.asyncDispose]: () => new Promise<void>(() => {}) };
  },
});
