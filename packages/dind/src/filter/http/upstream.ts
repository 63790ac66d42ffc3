import { Agent, request, type ClientRequest, type ClientRequestArgs, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { connectSocket } from "../../system/connect-socket.ts";
import { Refusal } from "../refusal.ts";
import { lowerVersion, schemaVersions } from "./api-version.ts";

export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string | string[]>;
}

const maxHeaderSize = 1024 ** 2;

/** Connects to sockets of Unix alone. */
class SocketAgent extends Agent {
  override createConnection({ socketPath }: ClientRequestArgs): Socket {
    return connectSocket(socketPath ?? "");
  }
}

/** dockerd: a connection that is kept goes on with the same client's next request, never with another client's. */
export class Upstream {
  readonly socketPath: string;
  /** `agent: false` would make dockerd close at once, and Node lose the answer when it then writes its last bytes. */
  readonly #agent = new SocketAgent({ keepAlive: true, maxFreeSockets: 0 });
  readonly #kept = new SocketAgent({ keepAlive: true, maxFreeSockets: 1 });
  readonly #names = new WeakMap<Socket, string>();
  #clients = 0;
  #ceiling: Promise<string> | undefined;
  #version: string | undefined;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** dockerd's own API version, once known. */
  get version(): string | undefined {
    return this.#version;
  }

  /** A request that a client's connection asks for. */
  start({ method, path, headers }: UpstreamRequest, client: Socket): ClientRequest {
    const { socketPath } = this;
    // With a path to the socket the host is a name for Node's pool alone.
    const host = this.#nameOf(client);
    return request({ socketPath, host, agent: this.#kept, method, path, headers, maxHeaderSize });
  }

  /** A request with a payload, whose connection is not used again. */
  startUpload({ method, path, headers }: UpstreamRequest): ClientRequest {
    return request({ socketPath: this.socketPath, agent: this.#agent, method, path, headers, maxHeaderSize });
  }

  #nameOf(client: Socket): string {
    const known = this.#names.get(client);
    if (known !== undefined) return known;
    this.#clients += 1;
    const host = `client-${this.#clients}`;
    this.#names.set(client, host);
    const pool = this.#kept.getName({ host, port: 80, socketPath: this.socketPath });
    client.once("close", () => {
      for (const socket of this.#kept.freeSockets[pool] ?? []) socket.destroy();
    });
    return host;
  }

  /** A request that asks for a connection of its own; may be half closed afterwards. */
  startUpgrade({ method, path, headers }: UpstreamRequest): ClientRequest {
    return request({
      createConnection: () => connectSocket(this.socketPath, { allowHalfOpen: true }),
      method,
      path,
      headers,
      maxHeaderSize,
    });
  }

  /** A short call of the filter's own; answers status and text. */
  async call(
    method: string,
    path: string,
    signal: AbortSignal = AbortSignal.timeout(30_000),
  ): Promise<{ readonly status: number; readonly text: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = request({
      socketPath: this.socketPath,
      agent: this.#agent,
      method,
      path,
      signal,
      headers: { host: "docker" },
    });
    outgoing.on("response", resolve).on("error", reject).end();
    const answer = await promise;
    let text = "";
    for await (const chunk of answer) text += String(chunk);
    return { status: answer.statusCode ?? 0, text };
  }

  /** The highest API version that dockerd and the schemas know; asked for once per dockerd. */
  ceiling(): Promise<string> {
    return (this.#ceiling ??= this.#ask().catch((error: unknown) => {
      this.#ceiling = undefined;
      throw unreachable(error);
    }));
  }

  /** Another dockerd may be there now. */
  forget(): void {
    this.#ceiling = undefined;
    this.#version = undefined;
  }

  async #ask(): Promise<string> {
    const { text } = await this.call("GET", "/version");
    const found: unknown = JSON.parse(text);
    const version =
      typeof found === "object" && found !== null && "ApiVersion" in found
        ? String(found.ApiVersion)
        : "1.24";
    this.#version = version;
    return lowerVersion(version, schemaVersions.highest);
  }
}

/** What a client reads when dockerd is down. */
export const unreachable = (error: unknown): Refusal =>
  error instanceof Refusal
    ? error
    : new Refusal(
        503,
        "dockerd-down",
        "",
        `dockerd of this pod does not answer (${error instanceof Error && "code" in error ? String(error.code) : "no answer"}); it is started again, try later [aeon: dockerd-down]`,
      );

/** The same for an answer that broke off; anything else stays what it is. */
export const unreachableOr = (error: unknown): unknown =>
  error instanceof Error && "code" in error && error.code === "ECONNRESET" ? unreachable(error) : error;
