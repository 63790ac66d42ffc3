import { definePlugin } from "@aeon/core";
import * as v from "valibot";
import { parseHttpAddress } from "../http/http-address.ts";
import { serveHttp, type HttpRoutes } from "../http/serve-http.ts";

/** Serves metrics and health; `bound` gets the address in use. */
export const httpPlugin = (routes: HttpRoutes, bound: (address: string) => void) =>
  definePlugin({
    name: "http",
    config: v.strictObject({ address: v.string() }),
    hooksSnapshots: false,
    async start(context) {
      const { config, log } = context;
      const address = parseHttpAddress(config.address);
      if (address === undefined) throw new TypeError(`"${config.address}" is no host and port`);
      const server = await serveHttp(address, routes, log);
      bound(server.address);
      log.info({ address: server.address }, "metrics and health are served");
      context.onReload(async (next) => (next.address === config.address ? [] : ["address"]));
      return server;
    },
  });
