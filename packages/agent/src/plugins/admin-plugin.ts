import { definePlugin } from "@aeon/core";
import * as v from "valibot";
import type { AdminDeps } from "../admin/index.ts";

/** Serves the admin API; its modules are loaded here, after the snapshotter has started. */
export const adminPlugin = (path: string, deps: AdminDeps) =>
  definePlugin({
    name: "admin",
    config: v.undefined(),
    async start({ log }) {
      const { adminService, serveAdmin } = await import("../admin/index.ts");
      return serveAdmin({ path, service: adminService(deps), log });
    },
  });
