import { randomBytes } from "node:crypto";
import { errorMessage, isAeonError, Lifetime, type Logger } from "@aeon/core";
import type { Transport } from "../http/transport.ts";
import type { KubeEvent } from "../kubernetes.ts";

export interface EventRecorderOptions {
  readonly transport: Transport;
  readonly node: string;
  readonly log: Logger;
}

/** Events that wait to be sent, and those that are remembered for counting. */
const waitingLimit = 100;
const rememberedLimit = 500;
/** One event a second, after the first ones. */
const burst = 25;
const perSecond = 1;
const rememberedMs = 600_000;
const messageLimit = 1000;

interface Sent {
  readonly path: string;
  readonly at: number;
  count: number;
}

/** Writes events as core/v1 does, bounded in number and rate. What cannot be written is dropped. */
export class EventRecorder implements AsyncDisposable {
  readonly #options: EventRecorderOptions;
  readonly #life = new Lifetime();
  readonly #waiting = new Map<string, KubeEvent>();
  readonly #sent = new Map<string, Sent>();
  #tokens = burst;
  #filledAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#life.defer(async () => {
      clearTimeout(this.#timer);
      await this.#sending;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  tell(event: KubeEvent): void {
    this.#waiting.set(keyOf(event), event);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > waitingLimit && oldest !== undefined) this.#waiting.delete(oldest);
    this.#pump();
  }

  #pump(): void {
    if (this.#sending !== undefined || this.#timer !== undefined || this.#life.signal.aborted) return;
    const [first] = this.#waiting;
    if (first === undefined) return;
    const wait = this.#untilToken();
    if (wait > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#pump();
      }, wait).unref();
      return;
    }
    this.#tokens -= 1;
    const [key, event] = first;
    this.#waiting.delete(key);
    this.#sending = this.#send(key, event)
      .catch((error: unknown) =>
        this.#options.log.debug({ reason: event.reason, error: errorMessage(error) }, "event not written"),
      )
      .finally(() => {
        this.#sending = undefined;
        this.#pump();
      });
  }

  #untilToken(): number {
    const now = performance.now();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) / 1000) * perSecond);
    this.#filledAt = now;
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / perSecond) * 1000);
  }

  async #send(key: string, event: KubeEvent): Promise<void> {
    const { transport } = this.#options;
    const { signal } = this.#life;
    const earlier = this.#sent.get(key);
    if (earlier !== undefined && performance.now() - earlier.at < rememberedMs) {
      earlier.count += 1;
      const body = { count: earlier.count, lastTimestamp: seconds(new Date()) };
      const contentType = "application/merge-patch+json";
      try {
        await transport.json({ method: "PATCH", path: earlier.path, body, contentType }, signal);
        return;
      } catch (error) {
        // Events live for an hour only.
        if (!isAeonError(error, "KUBE_NOT_FOUND")) throw error;
      }
    }
    const collection = `/api/v1/namespaces/${event.about.namespace}/events`;
    const name = `${event.about.name.slice(0, 200)}.${randomBytes(8).toString("hex")}`;
    const body = this.#bodyOf(name, event);
    await transport.json({ method: "POST", path: collection, body }, signal);
    this.#sent.set(key, { path: `${collection}/${name}`, at: performance.now(), count: 1 });
    const [oldest] = this.#sent.keys();
    if (this.#sent.size > rememberedLimit && oldest !== undefined) this.#sent.delete(oldest);
  }

  #bodyOf(name: string, { about, type, reason, message }: KubeEvent) {
    const now = seconds(new Date());
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace: about.namespace },
      involvedObject: about,
      type,
      reason,
      message: message.slice(0, messageLimit),
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: "aeon", host: this.#options.node },
    };
  }
}

const keyOf = ({ about, type, reason, message }: KubeEvent): string =>
  [about.uid, type, reason, message].join("\0");

const seconds = (time: Date): string => time.toISOString().replace(/\.\d{3}Z$/, "Z");
