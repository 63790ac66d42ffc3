import { setTimeout as delay } from "node:timers/promises";
import { isAeonError, Lifetime, type Logger, type TokenReviewer } from "@aeon/core";
import type { Access } from "./access/access.ts";
import { Transport, type Call } from "./http/transport.ts";
import type { Apply, KubeEvent, Kubernetes, LeaseClaim } from "./kubernetes.ts";
import { parseAny, type KubeObject, type ParseObject } from "./objects.ts";
import { tokenReviews } from "./token-reviews.ts";
import { Watcher } from "./watch/watcher.ts";
import type { Watch, WatchOptions } from "./watch/watch-options.ts";
import { EventRecorder } from "./write/event-recorder.ts";
import { microTime } from "./write/micro-time.ts";

export interface KubeClientOptions {
  readonly access: Access;
  readonly nodeName: string;
  readonly agentNamespace?: string;
  readonly heartbeatMs?: number;
  readonly log: Logger;
}

/** How often a patch is sent that other writers overtake, and milliseconds between two times at most. */
const patchAttempts = 40;
const patchPauseMs = 200;

/** Owner of the fields that the agent applies. */
const agentManager = "aeon-agent";

/** A client of one cluster. Making it sends nothing. */
export class KubeClient implements Kubernetes, AsyncDisposable {
  readonly nodeName: string;
  readonly agentNamespace: string;
  readonly heartbeatMs: number;
  readonly tokens: TokenReviewer;
  readonly #transport: Transport;
  readonly #events: EventRecorder;
  readonly #log: Logger;
  readonly #life = new Lifetime();

  constructor(options: KubeClientOptions) {
    const { access, nodeName, log } = options;
    this.nodeName = nodeName;
    this.agentNamespace = options.agentNamespace ?? "aeon-system";
    this.heartbeatMs = options.heartbeatMs ?? 20_000;
    this.#log = log;
    this.#transport = this.#life.use(new Transport(access));
    this.#events = this.#life.use(new EventRecorder({ transport: this.#transport, node: nodeName, log }));
    this.tokens = tokenReviews(this.#transport);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  get sent(): ReadonlyMap<string, number> {
    return this.#transport.sent;
  }

  async get<T>(path: string, parse: ParseObject<T>, signal: AbortSignal): Promise<T | undefined> {
    try {
      return parse(await this.#transport.json({ method: "GET", path }, signal));
    } catch (error) {
      if (isAeonError(error, "KUBE_NOT_FOUND")) return undefined;
      throw error;
    }
  }

  async create<T>(path: string, body: unknown, parse: ParseObject<T>, signal: AbortSignal): Promise<T> {
    const query = { fieldManager: agentManager };
    return parse(await this.#transport.json({ method: "POST", path, query, body }, signal));
  }

  async replace<T>(path: string, body: unknown, parse: ParseObject<T>, signal: AbortSignal): Promise<T> {
    const query = { fieldManager: agentManager };
    return parse(await this.#transport.json({ method: "PUT", path, query, body }, signal));
  }

  async apply<T>(
    { path, object, manager = agentManager, force = true }: Apply,
    parse: ParseObject<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const query = { fieldManager: manager, force };
    // JSON is YAML.
    const contentType = "application/apply-patch+yaml";
    const call = { method: "PATCH", path, query, body: object, contentType } as const;
    return parse(await (force ? this.#persist(call, signal) : this.#transport.json(call, signal)));
  }

  async merge(path: string, body: unknown, signal: AbortSignal): Promise<void> {
    const contentType = "application/merge-patch+json";
    const query = { fieldManager: agentManager };
    await this.#persist({ method: "PATCH", path, query, body, contentType }, signal);
  }

  /** The server gives a patch up when others write the object faster than it can; that says nothing of the patch. */
  async #persist(call: Call, signal: AbortSignal): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1)
      try {
        return await this.#transport.json(call, signal);
      } catch (error) {
        if (!isAeonError(error, "KUBE_CONFLICT") || attempt === patchAttempts) throw error;
        await delay(Math.random() * patchPauseMs, undefined, { signal });
      }
  }

  async remove(path: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#transport.json({ method: "DELETE", path }, signal);
    } catch (error) {
      if (!isAeonError(error, "KUBE_NOT_FOUND")) throw error;
    }
  }

  watch<T extends KubeObject>(options: WatchOptions<T>): Watch<T> {
    return new Watcher(this.#transport, options, this.#log);
  }

  tell(event: KubeEvent): void {
    this.#events.tell(event);
  }

  async renewLease(
    { namespace, name, holder, seconds, labels }: LeaseClaim,
    signal: AbortSignal,
  ): Promise<void> {
    const object = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name, namespace, ...(labels && { labels }) },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: seconds,
        renewTime: microTime(new Date()),
      },
    };
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`;
    await this.apply({ path, object }, parseAny, signal);
  }
}
