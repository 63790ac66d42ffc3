import { createServer, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Refusal } from "../refusal.ts";
import { sendBare, sendRefusal, errorText } from "./answer.ts";
import type { ServiceContext } from "./call.ts";
import { TakenSocket } from "../streams/taken-socket.ts";
import { FilterRequest } from "./filter-request.ts";
import { serveRequest } from "./service.ts";
import { serveUpgrade } from "./upgrade.ts";
import { answerOn, serveUpload } from "./upload.ts";

/** What is going on. */
export interface Activity {
  connections: number;
  requests: number;
  streams: number;
}

/** The HTTP side of the filter: limits, and no time-outs on what has begun to stream. */
export function createFilterServer(context: ServiceContext, activity: Activity): Server {
  const busy = new WeakMap<Duplex, number>();
  /** Counts a request in until it is answered; refuses it when there are too many. */
  const begin = (request: FilterRequest, response: ServerResponse): boolean => {
    const most = context.settings.limits.requests;
    if (activity.requests >= most) {
      sendRefusal(request, response, tooMany(most));
      return false;
    }
    activity.requests += 1;
    const { socket } = request;
    busy.set(socket, (busy.get(socket) ?? 0) + 1);
    response.on("close", () => {
      activity.requests -= 1;
      busy.set(socket, (busy.get(socket) ?? 1) - 1);
    });
    return true;
  };
  const server = createServer(
    {
      IncomingMessage: FilterRequest,
      requestTimeout: 0,
      headersTimeout: 60_000,
      keepAliveTimeout: 0,
      maxHeaderSize: 1024 ** 2,
      insecureHTTPParser: false,
      noDelay: true,
    },
    (request, response) => {
      if (begin(request, response)) void serveRequest(context, request, response);
    },
  );
  server.on("connection", (socket) => {
    activity.connections += 1;
    socket.on("close", () => (activity.connections -= 1));
  });
  server.on("upgrade", (request: FilterRequest, socket: Socket, early: Buffer) => {
    // Without a listener a reset would end the process.
    socket.on("error", () => socket.destroy());
    // An answer to an earlier request of the same connection would be mixed up with the stream.
    if ((busy.get(socket) ?? 0) > 0) {
      socket.destroy();
      return;
    }
    if (request.takes === "upload") {
      const taken = new TakenSocket(socket);
      const response = answerOn(request, taken.socket);
      if (begin(request, response)) void serveUpload(context, request, taken, early, response);
      else taken.drop();
    } else
      void serveUpgrade(context, request, socket, early, {
        opened: () => (activity.streams += 1),
        closed: () => (activity.streams -= 1),
      });
  });
  server.on("connect", (_request, socket) => socket.destroy());
  server.on("clientError", (_error, socket) => {
    // The rest of the connection means nothing once a request could not be read.
    if (socket.writable) sendBare(socket, 400, "Bad Request", errorText("the request is not valid HTTP/1.1"));
    socket.destroy();
  });
  return server;
}

const tooMany = (most: number): Refusal =>
  new Refusal(
    429,
    "request-limit",
    "",
    `more than ${most} requests at once; wait for some to end [aeon: request-limit]`,
  );
