import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { definePlugin } from "@aeon/core";
import * as v from "valibot";

/** Is ready once the file `gate` exists; says when it waits and when it goes on. */
export default definePlugin({
  name: "waiting",
  config: v.strictObject({ gate: v.string() }),
  hooksSnapshots: false,
  async start({ config, log, signal }) {
    log.info({}, "waiting for the gate");
    while (!existsSync(config.gate)) await sleep(20, undefined, { signal });
    log.info({}, "the gate is open");
    return { async [Symbol.asyncDispose]() {} };
  },
});
