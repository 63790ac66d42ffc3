import { definePlugin } from "@aeon/core";
import * as v from "valibot";

const eaten: number[][] = [];

/** Its hook takes all the memory there is when a snapshot is named `feast`. */
export default definePlugin({
  name: "glutton",
  config: v.strictObject({}),
  async start({ snapshotHooks }) {
    snapshotHooks.register({
      name: "glutton",
      timeoutMs: 1000,
      onFailure: "ignore",
      async postPrepare({ key }) {
        if (key !== "feast") return undefined;
        for (;;) eaten.push(Array.from({ length: 100_000 }, (_, index) => index + 0.5));
      },
    });
    return { async [Symbol.asyncDispose]() {} };
  },
});
