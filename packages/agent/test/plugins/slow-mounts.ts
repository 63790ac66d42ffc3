import { setTimeout as sleep } from "node:timers/promises";
import { definePlugin } from "@aeon/core";
import * as v from "valibot";

/** Its hook delays every Mounts; it says when it stops. */
export default definePlugin({
  name: "slow-mounts",
  config: v.strictObject({ ms: v.number() }),
  async start({ config, log, snapshotHooks }) {
    snapshotHooks.register({
      name: "slow-mounts",
      timeoutMs: 60_000,
      onFailure: "fail",
      async preMounts() {
        log.info({}, "mounts delayed");
        await sleep(config.ms);
        log.info({}, "mounts go on");
        return undefined;
      },
    });
    return {
      async [Symbol.asyncDispose]() {
        log.info({}, "slow-mounts stopped");
      },
    };
  },
});
