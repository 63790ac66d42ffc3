import { definePlugin, linux } from "@aeon/core";
import * as v from "valibot";

/** Checks at start that the Linux calls work on the root's file system; a failure shows on /readyz and is checked again. */
export const linuxPlugin = (root: string) =>
  definePlugin({
    name: "linux",
    config: v.undefined(),
    hooksSnapshots: false,
    async start() {
      await linux.linuxSelfTest(root);
      return { async [Symbol.asyncDispose]() {} };
    },
  });
