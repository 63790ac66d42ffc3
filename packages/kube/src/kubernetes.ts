import { capability, type Capability } from "@aeon/core";
import type { KubeObject, ObjectReference, ParseObject } from "./objects.ts";
import type { Watch, WatchOptions } from "./watch/watch-options.ts";

/** A server-side apply. */
export interface Apply {
  /** Of the object, such as `/api/v1/namespaces/shop/pods/web-0`; with `/status` at its end for the status alone. */
  readonly path: string;
  /** apiVersion, kind, metadata.name and the fields that this manager wants; what it wanted before and no more, goes. */
  readonly object: unknown;
  /** Who owns the fields; the agent when absent. */
  readonly manager?: string;
  /** Takes fields over from others. Default true: without it, a field that somebody else set is a `KUBE_CONFLICT`. */
  readonly force?: boolean;
}

/** Something to tell people about an object. */
export interface KubeEvent {
  readonly about: ObjectReference;
  readonly type: "Normal" | "Warning";
  /** One word in CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** A lease to hold. */
export interface LeaseClaim {
  readonly namespace: string;
  readonly name: string;
  readonly holder: string;
  /** Seconds after the renewal during which it counts. */
  readonly seconds: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** What the agent's parts may ask of the cluster. Calls reject with this package's errors; nothing waits for ever. */
export interface Kubernetes {
  /** The node that this agent is of. */
  readonly nodeName: string;
  /** Where the agents keep what only concerns them, such as leases. */
  readonly agentNamespace: string;
  /** How often the cluster is told that this node's agent lives; milliseconds. */
  readonly heartbeatMs: number;
  /** Calls sent so far, by HTTP method. */
  readonly sent: ReadonlyMap<string, number>;
  /** Undefined when there is no such object. */
  get<T>(path: string, parse: ParseObject<T>, signal: AbortSignal): Promise<T | undefined>;
  create<T>(path: string, object: unknown, parse: ParseObject<T>, signal: AbortSignal): Promise<T>;
  /** With the resourceVersion that was read it is refused as `KUBE_CONFLICT` when somebody was faster. */
  replace<T>(path: string, object: unknown, parse: ParseObject<T>, signal: AbortSignal): Promise<T>;
  apply<T>(apply: Apply, parse: ParseObject<T>, signal: AbortSignal): Promise<T>;
  /** JSON merge patch. */
  merge(path: string, patch: unknown, signal: AbortSignal): Promise<void>;
  /** Nothing happens when it is gone already. */
  remove(path: string, signal: AbortSignal): Promise<void>;
  /** Starts to follow a collection. */
  watch<T extends KubeObject>(options: WatchOptions<T>): Watch<T>;
  /** Queues an event. Repeated ones are counted in one object; under a flood the oldest are dropped. Never fails. */
  tell(event: KubeEvent): void;
  /** Makes or renews a lease in one write. */
  renewLease(claim: LeaseClaim, signal: AbortSignal): Promise<void>;
}

/** Provided where `[kubernetes]` is configured. */
export const kubernetes: Capability<Kubernetes> = capability("kubernetes");
