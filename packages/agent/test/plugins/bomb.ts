import { definePlugin } from "@aeon/core";
import * as v from "valibot";

let starts = 0;

/** Throws where nobody catches it shortly after its first start. */
export default definePlugin({
  name: "bomb",
  config: v.strictObject({ kind: v.picklist(["timer", "promise"]) }),
  async start({ config, log }) {
    starts += 1;
    log.info({ starts }, "bomb started");
    if (starts === 1)
      setTimeout(() => {
        if (config.kind === "timer") throw new Error("thrown in a timer");
        void Promise.reject(new Error("rejected and forgotten"));
      }, 50);
    return { async [Symbol.asyncDispose]() {} };
  },
});
