import { AsyncLocalStorage } from "node:async_hooks";
import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import type { S3Timeouts } from "./s3-options.ts";

/** A request that brought no usable answer; it may or may not have reached the store. */
export class TransportError extends Error {
  override readonly name = "TransportError";
  /** HTTP status of an answer that only says: try again. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** Statuses that the S3 client would drop without reading their bodies, which leaks the connection. */
const passingStatuses: ReadonlySet<number> = new Set([408, 429, 499, 500, 502, 503, 504, 520]);

/** Further requests wait for one of these connections. */
const maxSockets = 32;

type Callback = (response: http.IncomingMessage) => void;

/**
 * What the S3 client sends its requests through: connections with time limits, and an AbortSignal per call, which
 * the client has no parameter for.
 */
export class Transport implements Disposable {
  readonly #scope = new AsyncLocalStorage<AbortSignal>();
  readonly #agent: http.Agent;
  readonly #module: typeof http | typeof https;
  readonly #timeouts: S3Timeouts;

  constructor(secure: boolean, timeouts: S3Timeouts, ca: string | undefined) {
    this.#module = secure ? https : http;
    this.#agent = secure
      ? new https.Agent({ keepAlive: true, maxSockets, ...(ca !== undefined && { ca }) })
      : new http.Agent({ keepAlive: true, maxSockets });
    this.#timeouts = timeouts;
  }

  /** Requests that `work` makes end when the signal is aborted. */
  run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#scope.run(signal, work);
  }

  /** In the form of {@link http.request}, of which the client uses the one with options first. */
  readonly request = (
    options: http.RequestOptions | string | URL,
    ...rest: [(http.RequestOptions | Callback)?, Callback?]
  ): http.ClientRequest => {
    const callback = rest.find((value) => typeof value === "function");
    if (typeof options === "string" || options instanceof URL || callback === undefined)
      throw new TypeError("the S3 transport takes options and a callback");
    const signal = this.#scope.getStore();
    const request = this.#module.request(
      // A derived signal lets go of its listeners with the request; the caller's may live for days.
      { ...options, agent: this.#agent, ...(signal && { signal: AbortSignal.any([signal]) }) },
      (response) => answer(request, response, callback),
    );
    limit(request, this.#timeouts);
    return request;
  };

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

function answer(request: http.ClientRequest, response: http.IncomingMessage, callback: Callback): void {
  const { statusCode = 0 } = response;
  if (!passingStatuses.has(statusCode)) {
    callback(response);
    return;
  }
  // Once there is an answer Node reports nothing on the request any more, and the client would wait for ever.
  response.on("error", () => {}).resume();
  request.emit("error", new TransportError(`the store answers ${statusCode}`, statusCode));
}

function limit(request: http.ClientRequest, { connect, idle, total }: S3Timeouts): void {
  let response: http.IncomingMessage | undefined;
  const fail = (message: string): void => {
    const error = new TransportError(message);
    response?.destroy(error);
    request.destroy(error);
  };
  const timer = setTimeout(() => fail(`no complete answer within ${total} ms`), total);
  request.once("response", (value) => (response = value));
  request.setTimeout(idle, () => fail(`nothing came or went for ${idle} ms`));
  request.once("socket", (socket) => limitConnect(request, socket, connect, fail));
  request.once("close", () => clearTimeout(timer));
}

function limitConnect(
  request: http.ClientRequest,
  socket: Socket,
  limitMs: number,
  fail: (message: string) => void,
): void {
  if (!socket.connecting) return;
  const timer = setTimeout(() => fail(`no connection within ${limitMs} ms`), limitMs);
  socket.once("encrypted" in socket ? "secureConnect" : "connect", () => clearTimeout(timer));
  request.once("close", () => clearTimeout(timer));
}
