import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Logger } from "@aeon/core";
import { showHttpAddress, type HttpAddress } from "./http-address.ts";

export interface HttpReply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Answers by exact path. */
export type HttpRoutes = ReadonlyMap<string, () => HttpReply | Promise<HttpReply>>;

export interface HttpServer extends AsyncDisposable {
  /** The address in use, with the port that was taken for 0. */
  readonly address: string;
}

/** Bytes of a request's head; scrapers send some hundred. */
const maxHeaderSize = 8192;
const maxConnections = 64;
/** Milliseconds for a request to arrive. */
const requestTimeout = 5000;

/** Serves small read-only pages: GET only, bodies are not read, connections and times are limited. */
export async function serveHttp(address: HttpAddress, routes: HttpRoutes, log: Logger): Promise<HttpServer> {
  const server = createServer(
    { maxHeaderSize, requestTimeout, headersTimeout: requestTimeout, keepAliveTimeout: requestTimeout },
    (request, response) => {
      answer(request, response, routes).catch((error: unknown) => {
        log.error({ url: request.url?.slice(0, 200), error }, "page failed");
        if (!response.headersSent) reply(response, text(500, "internal error"));
        response.end();
      });
    },
  );
  server.maxConnections = maxConnections;
  server.listen(address.port, address.host);
  await once(server, "listening");
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
  return {
    address: showHttpAddress({ host: address.host, port }),
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, routes: HttpRoutes): Promise<void> {
  const path = request.url?.split("?", 1)[0] ?? "";
  const route = routes.get(path);
  if (route === undefined)
    reply(response, text(404, `no such page; there are ${[...routes.keys()].join(", ")}`));
  else if (request.method === "GET") reply(response, await route());
  else reply(response.setHeader("allow", "GET"), text(405, "only GET is allowed"));
}

export const text = (status: number, body: string): HttpReply => ({
  status,
  type: "text/plain; charset=utf-8",
  body: `${body}\n`,
});

function reply(response: ServerResponse, { status, type, body }: HttpReply): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}
