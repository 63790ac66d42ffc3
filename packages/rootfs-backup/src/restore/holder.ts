import { errorMessage, Lifetime, type BackupId, type Logger } from "@aeon/core";
import type { Binding, BindingRecords } from "../records/binding-records.ts";
import type { BackupStore } from "../store/backup-store.ts";
import type { Hold } from "../store/holds.ts";

export interface HolderOptions {
  readonly store: BackupStore;
  readonly bindings: BindingRecords;
  /** For people. */
  readonly node: string;
  /** For the store: one per node and root. */
  readonly writer: string;
  readonly lifetimeMs: number;
  /** In whose folders a former process may have left something. */
  readonly tenants: ReadonlySet<string>;
  readonly log: Logger;
}

/** What a binding needs in the store. */
export type Held = Pick<Binding, "snapshotKey" | "backup" | "layers">;

/** How long a write may take; a container's start waits for one. */
const writeLimitMs = 20_000;
/** How long the last write before the agent stops may take. */
const lastWriteLimitMs = 5_000;
/** Until a write that failed is tried again, in milliseconds. */
const retryMs = 30_000;
/** How long releases are collected, in milliseconds. */
const soonMs = 2_000;
/** Written so often within the time that others respect it. */
const renewals = 8;
const mostRenewalMs = 3_600_000;

/**
 * Tells the store which backups this node's containers run on, so that no node removes them or sweeps their data.
 * Starts that come together share one write per tenant.
 */
export class Holder implements AsyncDisposable {
  readonly #options: HolderOptions;
  readonly #life = new Lifetime();
  /** Bindings that are being made. */
  readonly #coming = new Map<string, Held>();
  /** Tenants in whose folder this node has something written. */
  readonly #tenants: Set<string>;
  #writing: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  /** Tenant, backup and digest of the layers that the last write told of. */
  #written: ReadonlySet<string> = new Set();
  #isDirty = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HolderOptions) {
    this.#options = options;
    this.#tenants = new Set(options.tenants);
    const renew = setInterval(
      () => this.poke(),
      Math.min(mostRenewalMs, Math.max(1, options.lifetimeMs / renewals)),
    ).unref();
    this.#life.defer(async () => {
      clearInterval(renew);
      clearTimeout(this.#timer);
      await Promise.allSettled([this.#writing, this.#next, options.bindings.released()]);
      // What containers released shortly before must not stay claimed while no agent runs.
      if (this.#isDirty) await this.#write(AbortSignal.timeout(lastWriteLimitMs)).catch(() => {});
    });
  }

  /** Writes what this node holds now, in the background; a failure is logged and tried again. */
  poke(): void {
    this.flush().catch((error: unknown) => this.#failed(error));
  }

  /** As {@link poke}, once for all that happens within a moment. */
  pokeSoon(): void {
    this.#isDirty = true;
    this.#later(soonMs);
  }

  /**
   * Announces a binding until the result is disposed, by when it has to be recorded. A store that takes no writes is
   * no reason not to start a container: the data of a backup that is removed meanwhile stays for the sweep's grace.
   */
  async announce(held: Held): Promise<Disposable> {
    this.#coming.set(held.snapshotKey, held);
    // What other containers of this node run on is written already, and any later write has this one too.
    if (this.#writing === undefined && this.#isWritten(held)) this.pokeSoon();
    else await this.flush().catch((error: unknown) => this.#failed(error));
    return { [Symbol.dispose]: () => void this.#coming.delete(held.snapshotKey) };
  }

  #isWritten({ backup, layers }: Held): boolean {
    return layers.every(({ tenant, digest }) => this.#written.has(`${tenant} ${backup} ${digest}`));
  }

  /** Resolves when the store knows what this node held when it was called. */
  flush(): Promise<void> {
    if (this.#life.signal.aborted) return Promise.resolve();
    if (this.#writing === undefined) return this.#start();
    return (this.#next ??= this.#writing
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.#start();
      }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  #start(): Promise<void> {
    const limit = AbortSignal.timeout(writeLimitMs);
    const work = this.#write(AbortSignal.any([this.#life.signal, limit])).finally(() => {
      if (this.#writing === work) this.#writing = undefined;
    });
    this.#writing = work;
    return work;
  }

  #failed(error: unknown): void {
    if (this.#life.signal.aborted) return;
    this.#options.log.warn(
      { error: errorMessage(error) },
      "the store does not know yet which backups this node's containers run on",
    );
    this.#later(retryMs);
  }

  #later(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#life.signal.aborted) this.#timer = setTimeout(() => this.poke(), ms).unref();
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { store, writer, node, lifetimeMs } = this.#options;
    this.#isDirty = false;
    const written = new Set<string>();
    // Nothing is known while this runs, or when it fails half-way.
    this.#written = new Set();
    const byTenant = this.#byTenant();
    for (const tenant of new Set([...this.#tenants, ...byTenant.keys()])) {
      const backups = byTenant.get(tenant) ?? [];
      this.#tenants.add(tenant);
      await store.hold({ tenant, writer, hold: { node, backups }, lifetimeMs }, signal);
      if (backups.length === 0) this.#tenants.delete(tenant);
      for (const { id, digests } of backups)
        for (const digest of digests) written.add(`${tenant} ${id} ${digest}`);
    }
    this.#written = written;
  }

  #byTenant(): ReadonlyMap<string, Hold["backups"]> {
    const tenants = new Map<string, Map<BackupId, { digests: Set<string>; snapshots: Set<string> }>>();
    for (const { snapshotKey, backup, layers } of [
      ...this.#options.bindings.list(),
      ...this.#coming.values(),
    ])
      for (const { tenant, digest, index, toc } of layers) {
        const backups = tenants.get(tenant) ?? new Map<BackupId, never>();
        tenants.set(tenant, backups);
        const held = backups.get(backup) ?? { digests: new Set(), snapshots: new Set() };
        backups.set(backup, held);
        for (const each of [digest, index.digest, toc.digest]) held.digests.add(each);
        held.snapshots.add(snapshotKey);
      }
    const holds = new Map<string, Hold["backups"]>();
    for (const [tenant, backups] of tenants)
      holds.set(
        tenant,
        [...backups].map(([id, { digests, snapshots }]) => ({
          id,
          digests: [...digests],
          snapshots: [...snapshots],
        })),
      );
    return holds;
  }
}
