import { request, type ClientRequest } from "node:http";
import { connectSocket } from "../../system/connect-socket.ts";
import type { Upstream } from "../http/upstream.ts";
import type { Pins } from "./pins.ts";

const filters = encodeURIComponent(JSON.stringify({ event: ["destroy"], type: ["container", "volume"] }));
/** Several destructions at once are one sweep. */
const settleMs = 200;
const retryMs = 2000;

/** Releases pins whose containers and volumes are gone: told by dockerd's events, decided by its lists. */
export class Sweeper implements Disposable {
  readonly #pins: Pins;
  readonly #upstream: Upstream;
  #events: ClientRequest | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(pins: Pins, upstream: Upstream) {
    this.#pins = pins;
    this.#upstream = upstream;
    if (pins.size > 0) this.#soon(retryMs);
  }

  /** Listens to dockerd while there are pins. */
  watch(): void {
    if (this.#closed || this.#events !== undefined || this.#pins.size === 0) return;
    const path = `/events?filters=${filters}`;
    const events = request({
      createConnection: () => connectSocket(this.#upstream.socketPath),
      path,
      headers: { host: "docker" },
    });
    this.#events = events;
    const ended = (): void => {
      if (this.#events !== events) return;
      this.#events = undefined;
      if (this.#pins.size > 0) this.#soon(retryMs);
    };
    events
      .on("response", (answer) =>
        answer
          .on("data", () => this.#soon(settleMs))
          .on("close", ended)
          .on("error", ended),
      )
      .on("error", ended)
      .end();
    events.on("socket", (socket) => socket.unref());
  }

  #soon(ms: number): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.sweep().then(
        () => this.watch(),
        () => this.#soon(retryMs),
      );
    }, ms).unref();
  }

  /** Compares pins with what dockerd has. Does nothing when dockerd does not answer. */
  async sweep(): Promise<void> {
    const candidates = this.#pins.settled();
    if (candidates.length === 0) return;
    const [containers, volumes] = [
      await this.#upstream.call("GET", "/containers/json?all=1"),
      await this.#upstream.call("GET", "/volumes"),
    ];
    if (containers.status !== 200 || volumes.status !== 200) throw new Error("dockerd does not list");
    await this.#pins.sweep(candidates, containers.text + volumes.text);
    if (this.#pins.size === 0) this.#stop();
  }

  #stop(): void {
    const events = this.#events;
    this.#events = undefined;
    events?.destroy();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#stop();
  }
}
