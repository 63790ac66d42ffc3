import { Agent, request } from "node:https";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

/** An answer of the API server as it came. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
}

/** Where an API server is, and who calls. */
export interface ApiAccess {
  readonly url: string;
  readonly ca: string;
  readonly token?: string;
  readonly certificate?: { readonly cert: string; readonly key: string };
}

/** Calls to an API server without a client library between, so that tests see what the server says. */
export class ApiClient {
  readonly #access: ApiAccess;
  readonly #agent: Agent;

  constructor(access: ApiAccess) {
    this.#access = access;
    this.#agent = new Agent({ ca: access.ca, keepAlive: true, ...access.certificate });
  }

  /** The same server as another user. */
  as(token: string): ApiClient {
    const { url, ca } = this.#access;
    return new ApiClient({ url, ca, token });
  }

  /** Any call; rejects only when there was no answer. */
  async request(
    method: string,
    path: string,
    body?: unknown,
    contentType = "application/json",
  ): Promise<ApiAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<ApiAnswer>();
    const call = request(
      new URL(path, this.#access.url),
      {
        method,
        agent: this.#agent,
        timeout: 30_000,
        headers: {
          ...(this.#access.token !== undefined && { authorization: `Bearer ${this.#access.token}` }),
          accept: "application/json",
          ...(body !== undefined && { "content-type": contentType }),
        },
      },
      (response) => {
        text(response).then((all) => resolve({ status: response.statusCode ?? 0, body: all }), reject);
      },
    );
    call.on("error", reject);
    call.on("timeout", () => call.destroy(new Error(`${method} ${path} took more than 30 s`)));
    call.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
    return promise;
  }

  get<T>(path: string): Promise<T> {
    return this.#expect<T>("GET", path);
  }

  create<T>(path: string, body: unknown): Promise<T> {
    return this.#expect<T>("POST", path, body);
  }

  /** Server-side apply of YAML or JSON text, or of an object. */
  apply<T>(path: string, body: unknown, manager = "test"): Promise<T> {
    return this.#expect<T>(
      "PATCH",
      `${path}?fieldManager=${manager}&force=true`,
      body,
      "application/apply-patch+yaml",
    );
  }

  merge<T>(path: string, body: unknown): Promise<T> {
    return this.#expect<T>("PATCH", path, body, "application/merge-patch+json");
  }

  remove(path: string, body?: unknown): Promise<unknown> {
    return this.#expect("DELETE", path, body);
  }

  /** Reads an object until `accept` says yes to it, and answers it. Throws with its last state after `limitMs`. */
  async until<T>(path: string, accept: (value: T) => boolean, limitMs = 60_000): Promise<T> {
    const deadline = performance.now() + limitMs;
    let last = "";
    for (;;) {
      const answer = await this.request("GET", path);
      last = answer.body;
      if (answer.status === 200) {
        const value: T = JSON.parse(answer.body);
        if (accept(value)) return value;
      }
      if (performance.now() > deadline)
        throw new Error(`${path} is not as expected after ${limitMs / 1000} s: ${last.slice(0, 4000)}`);
      await sleep(100);
    }
  }

  /** Waits until an object is gone. */
  async untilGone(path: string, limitMs = 60_000): Promise<void> {
    const deadline = performance.now() + limitMs;
    while ((await this.request("GET", path)).status !== 404) {
      if (performance.now() > deadline) throw new Error(`${path} is still there after ${limitMs / 1000} s`);
      await sleep(100);
    }
  }

  async #expect<T>(method: string, path: string, body?: unknown, contentType?: string): Promise<T> {
    const answer = await this.request(method, path, body, contentType);
    if (answer.status >= 300)
      throw new Error(`${method} ${path}: ${answer.status} ${answer.body.slice(0, 2000)}`);
    const value: T = JSON.parse(answer.body);
    return value;
  }
}
