import { request, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { errors } from "../errors.ts";
import type { DaemonConfig, FilterStatus } from "../filter/filter-config.ts";

/** Milliseconds for one call of a control socket. */
const callMs = 10_000;

/** A running filter, by its control socket. */
export class FilterControl {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  async status(): Promise<FilterStatus> {
    const answer: FilterStatus = JSON.parse(await this.#call("GET", "/status"));
    return answer;
  }

  /** Tells where a new D is and waits until its pins are there. */
  async setDaemon(daemon: DaemonConfig): Promise<void> {
    await this.#call("PUT", "/daemon", daemon);
  }

  async reload(): Promise<void> {
    await this.#call("POST", "/reload");
  }

  /** Ends it and waits until it has let go of everything; false when nobody answers. What it knows of pins stays. */
  async stop(): Promise<boolean> {
    return this.#call("POST", "/stop", { keepPins: true }).then(
      () => true,
      () => false,
    );
  }

  /** Resolves when it has ended, or handed over. Rejects when nobody answers, and when the signal aborts. */
  async ended(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const options = { socketPath: this.#socket, path: "/alive", agent: false, signal };
    const sent = request(options, (answer: IncomingMessage) => {
      answer.resume().once("close", () => (signal.aborted ? reject(signal.reason) : resolve()));
      answer.on("error", () => {});
    });
    sent.once("error", reject).end();
    await promise;
  }

  async #call(method: string, path: string, body?: object): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const sent = request(
      {
        socketPath: this.#socket,
        method,
        path,
        timeout: callMs,
        agent: false,
        headers: { "content-type": "application/json" },
      },
      (response) => {
        const { statusCode } = response;
        const settle = (answer: string): void =>
          statusCode === 200
            ? resolve(answer)
            : reject(errors.DIND_FILTER_FAILED(`the filter refused ${method} ${path}: ${answer}`));
        void text(response).then(settle, reject);
      },
    );
    sent.once("timeout", () => sent.destroy(new Error(`no answer in ${callMs} ms`)));
    sent.once("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }
}
