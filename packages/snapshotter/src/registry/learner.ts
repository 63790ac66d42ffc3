import { setTimeout as sleep } from "node:timers/promises";
import {
  containerId,
  errorMessage,
  isAeonError,
  type ContainerEntry,
  type Logger,
  type Namespace,
  type SnapshotKey,
} from "@aeon/core";
import { mayBeContainer, parseBackendKey, type BackendKey } from "./backend-key.ts";
import type { ContainerRecord, ContainerSource } from "./container-source.ts";
import { insertEntry, selectLatest, updateIdentity } from "./entry-sql.ts";
import type { EntryStore } from "./entry-store.ts";

/** Milliseconds one look-up at containerd may take. */
const lookupLimitMs = 1000;
/** Milliseconds between attempts while containerd is not reached. */
const retryPauseMs = 50;
/** Look-ups under way; further ones are left to reconciliation. */
const concurrencyLimit = 64;
/** Milliseconds between two listings of a namespace's containers for keys that are no container's id. */
const listIntervalMs = 2000;

export interface LearnerOptions {
  readonly store: EntryStore;
  readonly source: ContainerSource | undefined;
  readonly log: Logger;
  /** Ends every look-up. */
  readonly signal: AbortSignal;
}

/** Asks containerd whose a snapshot is; one question for a key at a time, each bounded. */
export class Learner {
  readonly #options: LearnerOptions;
  readonly #running = new Map<SnapshotKey, Promise<void>>();
  readonly #listedAt = new Map<Namespace, number>();

  constructor(options: LearnerOptions) {
    this.#options = options;
  }

  /** The entry with all that is known now; never rejects because containerd does not answer. */
  async learn(key: SnapshotKey, signal: AbortSignal): Promise<ContainerEntry | undefined> {
    const { store, source } = this.#options;
    const entry = store.get(key);
    const parts = parseBackendKey(key);
    if (source === undefined || parts === undefined || !mayBeContainer(parts)) return entry;
    if (entry?.containerId !== undefined) return entry;
    if (!this.#isLatest(key, parts)) return entry;
    await endedBy(signal, this.#shared(key, parts, source));
    return store.get(key);
  }

  /**
   * Asks in the background, and at once: a short container's record may be gone in a moment. Only for a key that
   * containerd uses right now.
   */
  ask(key: SnapshotKey): void {
    const { source, signal } = this.#options;
    const parts = parseBackendKey(key);
    if (source === undefined || parts === undefined || signal.aborted) return;
    void this.#shared(key, parts, source);
  }

  /** Stores whose container a snapshot is. Does nothing when the key has given way to a later one. */
  assign(space: Namespace, record: ContainerRecord): void {
    const { store } = this.#options;
    const entry = store.read((sql) => selectLatest(sql, space, record.snapshotKey));
    if (entry === undefined) return;
    store.gather(entry.snapshotKey, (sql, at) => updateIdentity(sql, entry.snapshotKey, record, at));
  }

  #isLatest(key: SnapshotKey, { namespace, clientKey }: BackendKey): boolean {
    const latest = this.#options.store.read((sql) => selectLatest(sql, namespace, clientKey));
    return latest === undefined || latest.snapshotKey === key;
  }

  #shared(key: SnapshotKey, parts: BackendKey, source: ContainerSource): Promise<void> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    if (this.#running.size >= concurrencyLimit) return Promise.resolve();
    const lookup = this.#lookUp(key, parts, source).finally(() => this.#running.delete(key));
    this.#running.set(key, lookup);
    return lookup;
  }

  async #lookUp(key: SnapshotKey, parts: BackendKey, source: ContainerSource): Promise<void> {
    const { store, log, signal } = this.#options;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(lookupLimitMs)]);
    try {
      const record = await endedBy(limit, this.#find(parts, source, limit));
      if (record === undefined) return;
      if (store.get(key) === undefined)
        store.gather(key, (sql, at) => insertEntry(sql, { key, parts, state: "preparing", at }));
      store.gather(key, (sql, at) => updateIdentity(sql, key, record, at));
    } catch (error) {
      log.debug({ snapshot: key, error: errorMessage(error) }, "container not learnt from containerd");
    }
  }

  async #find(
    { namespace, clientKey }: BackendKey,
    source: ContainerSource,
    signal: AbortSignal,
  ): Promise<ContainerRecord | undefined> {
    const named = await whenAvailable(() => getOrUndefined(source, namespace, clientKey, signal), signal);
    if (named?.snapshotKey === clientKey) return named;
    if (isAssignedId(clientKey)) return undefined;
    const at = performance.now();
    if (at - (this.#listedAt.get(namespace) ?? -Infinity) < listIntervalMs) return undefined;
    this.#listedAt.set(namespace, at);
    return (await source.list(namespace, signal)).find((record) => record.snapshotKey === clientKey);
  }
}

/** Kubernetes and Docker give containers such ids and name their snapshots after them: there is no other to find. */
const isAssignedId = (clientKey: string): boolean => /^[0-9a-f]{64}$/.test(clientKey);

/** A client key may hold what no container id may; containerd refuses to look such an id up. */
async function getOrUndefined(
  source: ContainerSource,
  namespace: Namespace,
  clientKey: string,
  signal: AbortSignal,
): Promise<ContainerRecord | undefined> {
  try {
    return await source.get(namespace, containerId(clientKey), signal);
  } catch (error) {
    if (isAeonError(error, "invalid-argument")) return undefined;
    throw error;
  }
}

/** Tries again while containerd is not reached: right after its restart the connection is not up yet. */
async function whenAvailable<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isAeonError(error, "unavailable")) throw error;
      await sleep(retryPauseMs, undefined, { signal });
    }
  }
}

/** The promise, or a rejection as soon as the signal fires. */
async function endedBy<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
