import { setTimeout as delay } from "node:timers/promises";
import { errorMessage, isAeonError, Lifetime, type Logger } from "@aeon/core";
import * as v from "valibot";
import { errors } from "../errors.ts";
import { failureOf, unreachable } from "../http/failure.ts";
import type { Transport } from "../http/transport.ts";
import type { KubeObject } from "../objects.ts";
import { pauseAfter } from "./back-off.ts";
import { linesOf } from "./lines.ts";
import type { Watch, WatchCounts, WatchOptions } from "./watch-options.ts";

/** Objects in an answer. */
const pageSize = 500;
/** Seconds until the server ends a watch: at random between the two, so that a cluster's nodes do not come back together. */
const leastSeconds = 300;
const mostSeconds = 600;
/** Bookmarks come about every minute; a connection that is silent for longer than this is dead. */
const silenceMs = 180_000;

const pageSchema = v.object({
  metadata: v.object({ resourceVersion: v.string(), continue: v.optional(v.string()) }),
  items: v.nullish(v.array(v.unknown()), []),
});
const eventSchema = v.object({ type: v.string(), object: v.unknown() });
const versionSchema = v.object({ metadata: v.object({ resourceVersion: v.string() }) });
const statusSchema = v.object({ code: v.optional(v.number()) });

/**
 * Follows a collection: lists it in pages, watches from there with bookmarks, goes on after each interruption from
 * the last version seen, and lists again when the server no longer knows that one. Never gives up.
 */
export class Watcher<T extends KubeObject> implements Watch<T> {
  readonly items = new Map<string, T>();
  readonly counts: WatchCounts = {
    lists: 0,
    connections: 0,
    bookmarks: 0,
    expired: 0,
    unreadable: 0,
    failures: 0,
  };
  isSynced = false;
  failure: string | undefined;
  readonly #transport: Transport;
  readonly #options: WatchOptions<T>;
  readonly #log: Logger;
  readonly #life = new Lifetime();
  /** Undefined: list first. */
  #version: string | undefined;
  /** The first list may come from the server's cache; one after a 410 must not. */
  #hasExpired = false;

  constructor(transport: Transport, options: WatchOptions<T>, log: Logger) {
    this.#transport = transport;
    this.#options = options;
    this.#log = log.child({ watch: options.path });
    const running = this.#run();
    this.#life.defer(() => running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  async #run(): Promise<void> {
    const { signal } = this.#life;
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (this.#version === undefined) await this.#list(signal);
        await this.#follow(signal, () => {
          failures = 0;
          this.failure = undefined;
        });
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(error);
        await delay(pauseAfter(failures), undefined, { signal }).catch(() => {});
        failures += 1;
      }
    }
  }

  #failed(error: unknown): void {
    if (isAeonError(error, "KUBE_EXPIRED")) {
      this.counts.expired += 1;
      this.#version = undefined;
      this.#hasExpired = true;
      this.#log.info({}, "watch lists again: the server no longer knows the last version");
      return;
    }
    const message = errorMessage(error);
    this.counts.failures += 1;
    if (this.failure !== message) this.#log.warn({ error: message }, "watch interrupted");
    this.failure = message;
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { path, fieldSelector, labelSelector } = this.#options;
    const seen = new Set<string>();
    let next: string | undefined;
    let version = "";
    do {
      const query = {
        fieldSelector,
        labelSelector,
        limit: pageSize,
        continue: next,
        ...(next === undefined && !this.#hasExpired && { resourceVersion: "0" }),
      };
      const page = v.parse(pageSchema, await this.#transport.json({ method: "GET", path, query }, signal));
      for (const item of page.items) {
        const object = this.#read(item);
        if (object === undefined) continue;
        seen.add(object.metadata.uid);
        this.#put(object);
      }
      version = page.metadata.resourceVersion;
      next = page.metadata.continue === "" ? undefined : page.metadata.continue;
    } while (next !== undefined);
    for (const [uid, object] of this.items) if (!seen.has(uid)) this.#drop(object);
    this.#version = version;
    this.#hasExpired = false;
    this.counts.lists += 1;
    this.isSynced = true;
    this.#tell(() => this.#options.onSynced?.());
  }

  /** Returns when the server ends the watch in good order. */
  async #follow(signal: AbortSignal, onAlive: () => void): Promise<void> {
    const { path, fieldSelector, labelSelector } = this.#options;
    const timeoutSeconds = Math.round(leastSeconds + Math.random() * (mostSeconds - leastSeconds));
    const query = {
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: this.#version,
      timeoutSeconds,
      fieldSelector,
      labelSelector,
    };
    const response = await this.#transport.stream({ method: "GET", path, query }, signal);
    this.counts.connections += 1;
    onAlive();
    response.setTimeout(silenceMs, () => response.destroy(new Error(`silent for ${silenceMs} ms`)));
    const startedAt = performance.now();
    try {
      for await (const line of linesOf(response)) this.#event(line);
    } catch (error) {
      throw unreachable(error, `watch ${path}`);
    } finally {
      response.destroy();
    }
    // A server that ends each watch at once must not be asked in a tight loop.
    if (performance.now() - startedAt < 1000)
      throw errors.KUBE_UNREACHABLE(`watch ${path}: the server ended it at once`);
  }

  #event(line: string): void {
    const event = readEvent(line);
    if (event === undefined) {
      this.counts.unreadable += 1;
      this.#version = undefined;
      throw errors.KUBE_ANSWER_INVALID(
        `watch ${this.#options.path}: a line is no event: ${line.slice(0, 200)}`,
      );
    }
    if (event.type === "ERROR") {
      const status = v.safeParse(statusSchema, event.object);
      const code = status.success ? (status.output.code ?? 500) : 500;
      throw failureOf(code, event.object, `watch ${this.#options.path}`);
    }
    const version = v.safeParse(versionSchema, event.object);
    if (version.success) this.#version = version.output.metadata.resourceVersion;
    if (event.type === "BOOKMARK") {
      this.counts.bookmarks += 1;
      return;
    }
    const object = this.#read(event.object);
    if (object === undefined) return;
    if (event.type === "DELETED") this.#drop(object);
    else this.#put(object);
  }

  /** One object that makes no sense must not hide the others. */
  #read(value: unknown): T | undefined {
    try {
      return this.#options.parse(value);
    } catch (error) {
      this.counts.unreadable += 1;
      this.#log.warn({ error: errorMessage(error) }, "object not understood");
      return undefined;
    }
  }

  #put(object: T): void {
    const { uid, resourceVersion } = object.metadata;
    const before = this.items.get(uid);
    this.items.set(uid, object);
    if (before?.metadata.resourceVersion !== resourceVersion)
      this.#tell(() => this.#options.onChange?.(object, before));
  }

  #drop(object: T): void {
    this.items.delete(object.metadata.uid);
    this.#tell(() => this.#options.onRemove?.(object));
  }

  #tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#log.error({ error }, "listener of a watch failed");
    }
  }
}

function readEvent(line: string): v.InferOutput<typeof eventSchema> | undefined {
  try {
    return v.parse(eventSchema, JSON.parse(line));
  } catch {
    return undefined;
  }
}
