import { existsSync } from "node:fs";
import { definePlugin } from "@aeon/core";
import * as v from "valibot";

/** Cannot start until the file `gate` exists. */
export default definePlugin({
  name: "flaky",
  config: v.strictObject({ gate: v.string() }),
  async start({ config }) {
    if (!existsSync(config.gate)) throw new Error("the gate is closed");
    return { async [Symbol.asyncDispose]() {} };
  },
});
