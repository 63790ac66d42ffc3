import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import { createServer, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { bindPrivately, isServed } from "./unix-socket.ts";
import { errors } from "./errors.ts";

/** A request listener of either HTTP version. */
export type HttpHandler = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
) => void;

const maxConnections = 128;
const maxConcurrentStreams = 100;
/** Milliseconds a connection may take until its first bytes. */
const firstBytesMs = 10_000;
/** Milliseconds that calls get to finish on shutdown. */
const graceMs = 2_000;

/**
 * Serves HTTP/2 (prior knowledge) and HTTP/1.1 on one Unix socket of mode 0600. `handlerOf` gets a signal that is
 * aborted on shutdown. Throws `ADMIN_SOCKET_IN_USE` when another process answers on the path.
 */
export async function serveHttp(
  path: string,
  handlerOf: (shutdown: AbortSignal) => HttpHandler,
): Promise<AsyncDisposable> {
  if (await isServed(path))
    throw errors.ADMIN_SOCKET_IN_USE(
      `another process serves ${path}; stop it or choose another state folder`,
      {
        details: { path },
      },
    );
  const shutdown = new AbortController();
  const handler = handlerOf(shutdown.signal);
  const http1 = createHttp1Server(handler);
  // Each connection ends with its answer, so that no idle one is left to wait for on shutdown.
  http1.maxRequestsPerSocket = 1;
  const http2 = createHttp2Server({ settings: { maxConcurrentStreams } }, handler);
  const sessions = trackSessions(http2);
  const sockets = new Set<Socket>();
  /** Connections that have not said anything yet. */
  const silent = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    silent.add(socket);
    socket.once("close", () => [sockets, silent].forEach((set) => set.delete(socket)));
    // A peer that goes away is an everyday event; whoever reads the socket learns of it by its close.
    socket.on("error", () => {});
    onVersion(socket, (version) => {
      silent.delete(socket);
      (version === 2 ? http2 : http1).emit("connection", socket);
    });
  });
  server.maxConnections = maxConnections;
  await bindPrivately(server, path);

  const stop = async (): Promise<void> => {
    const closed = once(server, "close");
    // First the name, so that a successor which binds it meanwhile keeps it.
    await rm(path, { force: true });
    server.close();
    shutdown.abort(new Error("the agent is stopping"));
    for (const socket of silent) socket.destroy();
    for (const session of sessions) session.close();
    await Promise.race([closed, setTimeout(graceMs, undefined, { ref: false })]);
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  let stopping: Promise<void> | undefined;
  return { [Symbol.asyncDispose]: () => (stopping ??= stop()) };
}

function trackSessions(server: ReturnType<typeof createHttp2Server>): ReadonlySet<ServerHttp2Session> {
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  return sessions;
}

/** Tells the HTTP version by the connection's first three bytes, which stay unread: only HTTP/2 starts with `PRI`. */
function onVersion(socket: Socket, dispatch: (version: 1 | 2) => void): void {
  const giveUp = (): void => void socket.destroy();
  socket.setTimeout(firstBytesMs, giveUp);
  const look = (): void => {
    const head: unknown = socket.read(3);
    if (!Buffer.isBuffer(head)) return;
    socket.off("readable", look);
    socket.setTimeout(0);
    socket.off("timeout", giveUp);
    socket.unshift(head);
    dispatch(head.toString("latin1") === "PRI" ? 2 : 1);
  };
  socket.on("readable", look);
}
