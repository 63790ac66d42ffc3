import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import type { Socket } from "node:net";

export type HttpRequest = IncomingMessage | Http2ServerRequest;
export type HttpResponse = ServerResponse | Http2ServerResponse;

/** A request listener of either HTTP version. */
export type HttpHandler = (request: HttpRequest, response: HttpResponse) => void;

const maxConcurrentStreams = 100;
/** Milliseconds a connection may take until its first bytes. */
const firstBytesMs = 10_000;

/**
 * Speaks HTTP/2 (prior knowledge) and HTTP/1.1 on connections that others accept. Each connection has a tag, and so
 * have its requests.
 */
export class HttpFront<Tag> {
  readonly #http1;
  readonly #http2;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Connections that have not said anything yet. */
  readonly #silent = new Set<Socket>();
  readonly #sockets = new Set<Socket>();
  readonly #tags = new WeakMap<object, Tag>();
  #accepting: Tag | undefined;

  constructor(handler: HttpHandler) {
    this.#http1 = createHttp1Server(handler);
    // Each connection ends with its answer, so that no idle one is left to wait for on shutdown.
    this.#http1.maxRequestsPerSocket = 1;
    this.#http2 = createHttp2Server({ settings: { maxConcurrentStreams } }, handler);
    this.#http2.on("session", (session) => {
      this.#sessions.add(session);
      if (this.#accepting !== undefined) this.#tags.set(session, this.#accepting);
      session.once("close", () => this.#sessions.delete(session));
    });
  }

  accept(socket: Socket, tag: Tag): void {
    this.#sockets.add(socket);
    this.#silent.add(socket);
    this.#tags.set(socket, tag);
    socket.once("close", () => [this.#sockets, this.#silent].forEach((set) => set.delete(socket)));
    // A peer that goes away is an everyday event; whoever reads the socket learns of it by its close.
    socket.on("error", () => {});
    onVersion(socket, (version) => {
      this.#silent.delete(socket);
      if (version === 1) this.#http1.emit("connection", socket);
      else {
        // The session is made before this returns.
        this.#accepting = tag;
        this.#http2.emit("connection", socket);
        this.#accepting = undefined;
      }
    });
  }

  /** The tag of the request's connection. */
  tagOf(request: HttpRequest): Tag | undefined {
    if ("stream" in request) {
      const { session } = request.stream;
      return session === undefined ? undefined : this.#tags.get(session);
    }
    return this.#tags.get(request.socket);
  }

  /** Lets calls under way finish, and takes no further ones. */
  stop(): void {
    for (const socket of this.#silent) socket.destroy();
    for (const session of this.#sessions) session.close();
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
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
