import { Agent, request, type ClientRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { Refusal } from "../refusal.ts";
import { lowerVersion, schemaVersions } from "./api-version.ts";

export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string | string[]>;
}

const maxHeaderSize = 1024 ** 2;

/** dockerd: one connection per request, never shared between clients. */
export class Upstream {
  readonly socketPath: string;
  /** `agent: false` would make dockerd close at once, and Node lose the answer when it then writes its last bytes. */
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 0 });
  #ceiling: Promise<string> | undefined;
  #version: string | undefined;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** dockerd's own API version, once known. */
  get version(): string | undefined {
    return this.#version;
  }

  start({ method, path, headers }: UpstreamRequest): ClientRequest {
    return request({ socketPath: this.socketPath, agent: this.#agent, method, path, headers, maxHeaderSize });
  }

  /** A request that asks for a connection of its own; may be half closed afterwards. */
  startUpgrade({ method, path, headers }: UpstreamRequest): ClientRequest {
    return request({
      createConnection: (): Duplex => connect({ path: this.socketPath, allowHalfOpen: true }),
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
