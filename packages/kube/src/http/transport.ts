import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from "node:https";
import type { Access } from "../access/access.ts";
import { errors } from "../errors.ts";
import { failureOf, unreachable } from "./failure.ts";

/** One call. Paths start with a slash; the query is encoded here. */
export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  /** JSON when absent. */
  readonly contentType?: string;
}

/** Connections for calls; what comes in addition waits. */
const maxSockets = 8;
/** Milliseconds until an answer has to begin, and without a byte of it. */
const silenceMs = 30_000;
/** Bytes of an answer; a page of 500 objects stays far below. */
const answerLimit = 64 * 1024 * 1024;

/** HTTP to one API server over connections that stay open. */
export class Transport implements Disposable {
  readonly #access: Access;
  readonly #base: URL;
  readonly #calls: HttpAgent | HttpsAgent;
  /** Watches occupy a connection each. */
  readonly #watches: HttpAgent | HttpsAgent;
  /** Requests sent, by method; tests count writes by it. */
  readonly sent = new Map<string, number>();

  constructor(access: Access) {
    this.#access = access;
    this.#base = new URL(access.server);
    this.#calls = this.#agent(maxSockets);
    this.#watches = this.#agent(Infinity);
  }

  [Symbol.dispose](): void {
    this.#calls.destroy();
    this.#watches.destroy();
  }

  /** Gives what the server answers, parsed. Rejects with this package's errors. */
  async json(call: Call, signal: AbortSignal): Promise<unknown> {
    const doing = describe(call);
    const response = await this.#send(call, this.#calls, signal);
    let size = 0;
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of response) {
        const bytes = Buffer.from(chunk);
        size += bytes.length;
        if (size > answerLimit)
          throw errors.KUBE_ANSWER_INVALID(`${doing}: the answer is larger than ${answerLimit} bytes`);
        chunks.push(bytes);
      }
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(error, doing);
    }
    const text = Buffer.concat(chunks).toString("utf8");
    const status = response.statusCode ?? 0;
    const body = parse(text);
    if (status >= 200 && status < 300 && body !== undefined) return body;
    if (status >= 200 && status < 300)
      throw errors.KUBE_ANSWER_INVALID(`${doing}: the answer is no JSON: ${text.slice(0, 200)}`);
    throw failureOf(status, body, doing);
  }

  /** Gives an answer that goes on, once it has begun; the caller destroys it. */
  async stream(call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    const response = await this.#send(call, this.#watches, signal);
    const status = response.statusCode ?? 0;
    if (status === 200) return response;
    const chunks: Buffer[] = [];
    for await (const chunk of response) {
      chunks.push(Buffer.from(chunk));
      if (chunks.length > 64) break;
    }
    throw failureOf(status, parse(Buffer.concat(chunks).toString("utf8")), describe(call));
  }

  async #send(
    { method, path, query = {}, body, contentType = "application/json" }: Call,
    agent: HttpAgent | HttpsAgent,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    signal.throwIfAborted();
    const url = new URL(`${this.#base.pathname.replace(/\/$/, "")}${path}`, this.#base);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const token = await this.#access.token?.();
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options: RequestOptions = {
      method,
      agent,
      signal,
      timeout: silenceMs,
      headers: {
        accept: "application/json",
        "user-agent": "aeon-agent",
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(text !== undefined && {
          "content-type": contentType,
          "content-length": Buffer.byteLength(text),
        }),
      },
    };
    this.sent.set(method, (this.sent.get(method) ?? 0) + 1);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request =
      url.protocol === "https:" ? httpsRequest(url, options, resolve) : httpRequest(url, options, resolve);
    request.on("error", (error) => reject(signal.aborted ? signal.reason : error));
    request.on("timeout", () => request.destroy(new Error(`silent for ${silenceMs} ms`)));
    request.end(text);
    try {
      return await promise;
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(error, `${method} ${path}`);
    }
  }

  #agent(sockets: number): HttpAgent | HttpsAgent {
    const { ca, serverName, insecure, certificate } = this.#access;
    const shared = { keepAlive: true, keepAliveMsecs: 15_000, maxSockets: sockets };
    if (this.#base.protocol !== "https:") return new HttpAgent(shared);
    return new HttpsAgent({
      ...shared,
      ...(ca !== undefined && { ca }),
      ...(serverName !== undefined && { servername: serverName }),
      ...(insecure === true && { rejectUnauthorized: false }),
      ...certificate,
    });
  }
}

const describe = ({ method, path }: Call): string => `${method} ${path}`;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
