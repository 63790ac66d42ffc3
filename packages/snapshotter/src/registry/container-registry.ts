import {
  errorMessage,
  Lifetime,
  openDatabase,
  silentLogger,
  type AnnouncedContainer,
  type ContainerEntry,
  type ContainerId,
  type ContainerRegistry,
  type ContainerState,
  type Health,
  type Logger,
  type Namespace,
  type SnapshotHook,
  type SnapshotKey,
  type Snapshotter,
} from "@aeon/core";
import { errors } from "../errors.ts";
import type { ContainerSource } from "./container-source.ts";
import { selectByKey, selectLatest, updateAnnounced, updateState } from "./entry-sql.ts";
import { EntryStore } from "./entry-store.ts";
import { followEvents } from "./follow-events.ts";
import { Learner } from "./learner.ts";
import { reconcile, type Reconciled, type ReconcileOptions } from "./reconcile.ts";
import { registryHooks } from "./registry-hooks.ts";
import { migrations } from "./schema.ts";
import { mayMove } from "./state.ts";

/** Milliseconds between two passes of reconciliation; gaps in the events cause one at once. */
const reconcileIntervalMs = 300_000;

export interface ContainerRegistryOptions {
  /** The registry's database file; nobody else may use it. */
  readonly path: string;
  /** The snapshotter below all hooks. */
  readonly backend: Snapshotter;
  /** Where containers are looked up; without it only the snapshots are known. */
  readonly source?: ContainerSource;
  /** Whose containers are kept; all when absent. */
  readonly namespaces?: readonly Namespace[];
  readonly log?: Logger;
  /** Nanoseconds since the epoch; the system's clock when absent. */
  readonly now?: () => bigint;
}

/** A running registry: the contract, the hooks that feed it, and its upkeep. */
export interface OpenContainerRegistry extends ContainerRegistry, AsyncDisposable {
  /** To be registered with the hook pipeline. */
  readonly hooks: readonly SnapshotHook[];
  /** Compares with backend and containerd now; calls that come while a pass runs share the one after it. */
  reconcile(): Promise<Reconciled>;
  health(): Health;
}

/** Opens the registry and starts to follow containerd; returns before containerd has answered. */
export function openContainerRegistry(options: ContainerRegistryOptions): OpenContainerRegistry {
  return new Registry(options);
}

const systemTime = (): bigint => BigInt(Date.now()) * 1_000_000n;

class Registry implements OpenContainerRegistry {
  readonly hooks: readonly SnapshotHook[];
  readonly #store: EntryStore;
  readonly #learner: Learner;
  readonly #reconcile: ReconcileOptions;
  readonly #log: Logger;
  readonly #now: () => bigint;
  readonly #life = new Lifetime();
  readonly #exitListeners = new Set<(entry: ContainerEntry) => void>();
  #running: Promise<Reconciled> | undefined;
  #next: Promise<Reconciled> | undefined;

  constructor({
    path,
    backend,
    source,
    namespaces,
    log = silentLogger,
    now = systemTime,
  }: ContainerRegistryOptions) {
    const { signal } = this.#life;
    const isOurs = (space: Namespace): boolean => namespaces?.includes(space) ?? true;
    this.#log = log;
    this.#now = now;
    this.#store = this.#life.use(new EntryStore(openDatabase({ path, migrations }), log, now));
    const parts = { store: this.#store, source, log, now, signal };
    this.#learner = new Learner(parts);
    const onExit = (key: SnapshotKey): void => this.#tellExit(key);
    this.#reconcile = { ...parts, learner: this.#learner, backend, isOurs, onExit };
    this.hooks = registryHooks({ ...parts, learner: this.#learner, isOurs });
    if (source === undefined) this.#reconcileSoon();
    else this.#follow(source, isOurs);
    this.#life.defer(async () => void (await Promise.allSettled([this.#running, this.#next])));
    const timer = setInterval(() => this.#reconcileSoon(), reconcileIntervalMs).unref();
    this.#life.defer(() => clearInterval(timer));
  }

  bySnapshot(key: SnapshotKey): ContainerEntry | undefined {
    return this.#store.get(key);
  }

  byContainer(space: Namespace, id: ContainerId): ContainerEntry | undefined {
    return this.#store.byContainer(space, id);
  }

  list(): readonly ContainerEntry[] {
    return this.#store.list();
  }

  ofPod(uid: string): readonly ContainerEntry[] {
    return this.#store.ofPod(uid);
  }

  async transition(key: SnapshotKey, state: ContainerState, failure?: string): Promise<ContainerEntry> {
    const details = { snapshot: key, to: state };
    return await this.#store.write((sql) => {
      const entry = selectByKey(sql, key);
      if (entry === undefined)
        throw errors.CONTAINER_UNKNOWN(`no container is known by snapshot ${key}`, { details });
      if (!mayMove(entry.state, state))
        throw errors.CONTAINER_STATE_CONFLICT(
          `container of snapshot ${key} is ${entry.state}, not to become ${state}`,
          {
            details: { ...details, from: entry.state },
          },
        );
      updateState(sql, key, state, failure, this.#now());
      return selectByKey(sql, key) ?? entry;
    });
  }

  async learn(key: SnapshotKey, signal: AbortSignal): Promise<ContainerEntry | undefined> {
    return await this.#learner.learn(key, signal);
  }

  onExit(listener: (entry: ContainerEntry) => void): Disposable {
    this.#exitListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#exitListeners.delete(listener) };
  }

  announce({ namespace, id, labels, pod }: AnnouncedContainer): void {
    const entry = this.#store.read((sql) => selectLatest(sql, namespace, id));
    if (entry === undefined || entry.containerId !== undefined) return;
    const { snapshotKey: key } = entry;
    this.#store.gather(key, (sql, at) => updateAnnounced(sql, key, { labels, pod }, at));
  }

  reconcile(): Promise<Reconciled> {
    if (this.#running === undefined) return this.#pass();
    return (this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.#pass();
      }));
  }

  health(): Health {
    const { failure } = this.#store;
    return failure === undefined
      ? { ok: true }
      : { ok: false, reason: `the container registry cannot be written: ${failure}` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  #tellExit(key: SnapshotKey): void {
    if (this.#exitListeners.size === 0) return;
    const entry = this.#store.get(key);
    if (entry?.exit === undefined) return;
    for (const listener of this.#exitListeners) listener(entry);
  }

  #pass(): Promise<Reconciled> {
    const pass = reconcile(this.#reconcile, this.#life.signal).finally(() => (this.#running = undefined));
    return (this.#running = pass);
  }

  #reconcileSoon(): void {
    this.reconcile().then(
      (done) => this.#log.debug({ ...done }, "container registry reconciled"),
      (error: unknown) => {
        if (this.#life.signal.aborted) return;
        this.#log.warn({ error: errorMessage(error) }, "container registry not reconciled");
      },
    );
  }

  #follow(source: ContainerSource, isOurs: (space: Namespace) => boolean): void {
    const following = followEvents(
      { ...this.#reconcile, source, isOurs, onGap: () => this.#reconcileSoon() },
      this.#life.signal,
    ).catch((error: unknown) => {
      if (this.#life.signal.aborted) return;
      this.#log.error({ error: errorMessage(error) }, "containerd events are no longer followed");
    });
    this.#life.defer(() => following);
  }
}
