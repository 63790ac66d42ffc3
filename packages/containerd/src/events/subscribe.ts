import { setTimeout as sleep } from "node:timers/promises";
import { events } from "@aeon/proto";
import { isAeonError, type ErrorCode } from "@aeon/core";
import { Backoff } from "../backoff.ts";
import type { Connection } from "../connection.ts";
import { errors } from "../errors.ts";
import type { CallOptions } from "../grpc/service-types.ts";
import { eventOf, type KnownEvent, type OtherEvent } from "./topics.ts";

/**
 * Events before this moment may be missing: list what you follow now. Comes once at the start, when the
 * subscription is known to be live, and again after every reconnect.
 */
export interface EventGap {
  readonly kind: "gap";
  /** True at the start, false after a reconnect. */
  readonly first: boolean;
  /** What ended the previous subscription. */
  readonly cause?: unknown;
}

export type ContainerdEvent = KnownEvent | OtherEvent | EventGap;

export interface SubscribeOptions {
  /** containerd filter expressions such as `topic~="/tasks/"`; any may match; none matches all. */
  readonly filters?: readonly string[];
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal;
  /** Told of each broken subscription before the next attempt. */
  readonly onDisconnect?: (cause: unknown) => void;
}

const probeTopic = "/aeon/probe";
/** Failures that trying again cannot mend. */
const final: ReadonlySet<ErrorCode> = new Set([
  "invalid-argument",
  "unimplemented",
  "permission-denied",
  "unauthenticated",
]);

/**
 * What happens in all namespaces, from now until the signal aborts or the loop is left. Reconnects by itself; see
 * {@link EventGap} for what was missed. Fails only for a wrong filter or missing permission.
 */
export async function* subscribe(
  connection: Connection,
  options: SubscribeOptions = {},
): AsyncGenerator<ContainerdEvent, void, undefined> {
  const { signal, onDisconnect } = options;
  const backoff = new Backoff();
  let cause: unknown;
  for (let first = true; !isAborted(signal);) {
    try {
      for await (const event of live(connection, options)) {
        if (event !== "live") yield event;
        else {
          backoff.reset();
          yield { kind: "gap", first, ...(cause !== undefined && { cause }) };
          first = false;
        }
      }
      cause = new Error("containerd ended the subscription");
    } catch (error) {
      if (isAborted(signal)) return;
      if (isAeonError(error) && final.has(error.code)) throw error;
      if (isAeonError(error, "unknown") && error.message.includes("parsing subscription filters"))
        throw errors.EVENT_FILTER_INVALID(`event filters ${JSON.stringify(options.filters)}`, {
          cause: error,
        });
      cause = error;
    }
    if (isAborted(signal)) return;
    onDisconnect?.(cause);
    await backoff.wait(signal).catch(() => {});
  }
}

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

/**
 * One subscription. containerd does not acknowledge a subscription, so events are published under a topic of our
 * own until one comes round: from then on nothing is missed.
 */
async function* live(
  connection: Connection,
  { filters = [], signal }: SubscribeOptions,
): AsyncGenerator<KnownEvent | OtherEvent | "live", void, undefined> {
  const api = connection.service(events.Events);
  const topic = `${probeTopic}/${crypto.randomUUID()}`;
  const ended = new AbortController();
  const call: CallOptions = { signal: signal ? AbortSignal.any([signal, ended.signal]) : ended.signal };
  const wanted = filters.length === 0 ? [] : [...filters, `topic=="${topic}"`];
  const probing = new AbortController();
  const probe = publishUntil(connection, topic, AbortSignal.any([probing.signal, ended.signal]));
  probe.catch((error: unknown) => ended.abort(error));
  try {
    let isLive = false;
    for await (const envelope of api.subscribe({ filters: wanted }, call)) {
      if (envelope.topic.startsWith(probeTopic)) {
        if (envelope.topic !== topic || isLive) continue;
        isLive = true;
        probing.abort();
        yield "live";
      } else yield eventOf(envelope);
    }
  } finally {
    ended.abort();
    await probe.catch(() => {});
  }
}

async function publishUntil(connection: Connection, topic: string, signal: AbortSignal): Promise<void> {
  const api = connection.service(events.Events);
  const metadata = connection.caller.namespace ? {} : { metadata: { namespace: "default" } };
  for (let pause = 10; !signal.aborted; pause = Math.min(pause * 2, 500)) {
    try {
      await api.publish({ topic, event: { typeUrl: "google.protobuf.Empty" } }, { signal, ...metadata });
      await sleep(pause, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
