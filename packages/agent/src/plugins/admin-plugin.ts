import { definePlugin } from "@aeon/core";
import * as v from "valibot";
import type { AdminDeps } from "../admin/index.ts";
import { serveHttp } from "../admin/http-server.ts";
import { lazyHandler } from "./lazy-handler.ts";

/** Serves the admin API. Its RPC library is loaded at the first request: an agent at rest does without its memory. */
export const adminPlugin = (path: string, deps: AdminDeps) =>
  definePlugin({
    name: "admin",
    config: v.undefined(),
    hooksSnapshots: false,
    async start({ log }) {
      return serveHttp(path, (signal) =>
        lazyHandler(
          async () => {
            const [{ adminService }, { dindAdmin }, { adminHandler }] = await Promise.all([
              import("../admin/service.ts"),
              import("../admin/dind.ts"),
              import("../admin/server.ts"),
            ]);
            return adminHandler({ service: adminService(deps), dindService: dindAdmin(deps), log }, signal);
          },
          (error) => log.error({ error }, "admin API cannot be loaded"),
        ),
      );
    },
  });
