import { EventEmitter, on } from "node:events";
import { readdir } from "node:fs/promises";
import { hostname } from "node:os";
import { errorMessage, type BackupId, type ContainerRegistry, type Logger } from "@aeon/core";
import { backupOfRecord, backupOfRef, backupOfStore, type Backup } from "./backup.ts";
import type { BackupService, RestoreRequest } from "./backup-service.ts";
import { drain, type DrainCall, type DrainSummary } from "./capture/drain.ts";
import type { KeptContainer } from "./capture/kept-containers.ts";
import type { CaptureCall, CaptureRequest, LiveCapturer } from "./capture/live-capturer.ts";
import type { Staging } from "./capture/staging.ts";
import { errors } from "./errors.ts";
import type { PackQueue } from "./queue/pack-queue.ts";
import type { PhaseChange, Phases } from "./queue/phases.ts";
import type { BackupRecord } from "./records/backup-record.ts";
import type { BackupRecords } from "./records/backup-records.ts";
import type { BindingRecords } from "./records/binding-records.ts";
import type { Restore, RestoreRecords } from "./records/restore-records.ts";
import type { Continuations } from "./restore/continuations.ts";
import type { Holder } from "./restore/holder.ts";
import type { RestoredLayers } from "./restore/restored-layers.ts";
import type { BackupDocument } from "./store/backup-document.ts";
import { chainOf } from "./store/chain-of.ts";
import type { ChainKey } from "./store/chain.ts";
import { inUse } from "./store/holds.ts";
import { within } from "./restore/within.ts";
import type { RetentionRules } from "./store/retention.ts";
import type { BackupStore } from "./store/backup-store.ts";
import type { RemoveOptions } from "./store/remove-backup.ts";

export interface BackupsOptions {
  readonly records: BackupRecords;
  readonly restores: RestoreRecords;
  readonly bindings: BindingRecords;
  readonly holder: Pick<Holder, "flush">;
  readonly staging: Staging;
  readonly store: BackupStore;
  /** See {@link BackupService.storeTable}. */
  readonly storeTable: Readonly<Record<string, unknown>>;
  readonly keyFile: string | undefined;
  readonly retention: RetentionRules;
  readonly layers: RestoredLayers;
  readonly registry: ContainerRegistry | undefined;
  /** The running containers that are kept. */
  readonly continuations: Continuations;
  readonly kept: (signal: AbortSignal) => Promise<readonly KeptContainer[]>;
  readonly phases: Phases;
  readonly log: Logger;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
}

interface Events {
  change: [id: BackupId];
}

/** The service over this node's records and the store. */
export class Backups implements BackupService {
  readonly #options: BackupsOptions;
  readonly #events = new EventEmitter<Events>();
  /** Set once: the queue reports its changes here, so it is made later. */
  #queue: PackQueue | undefined;
  #capturer: LiveCapturer | undefined;

  constructor(options: BackupsOptions) {
    this.#options = options;
    this.#events.setMaxListeners(0);
  }

  get storeTable(): Readonly<Record<string, unknown>> {
    return this.#options.storeTable;
  }

  get retention(): RetentionRules {
    return this.#options.retention;
  }

  get keyFile(): string | undefined {
    return this.#options.keyFile;
  }

  follow(queue: PackQueue): void {
    this.#queue = queue;
  }

  /** Set once, as it reports to the queue. */
  captureWith(capturer: LiveCapturer): void {
    this.#capturer = capturer;
  }

  async create(request: CaptureRequest, call: CaptureCall): Promise<Backup> {
    if (this.#capturer === undefined) throw new TypeError("backups are asked for before they can be made");
    return this.#ofRecord(await this.#capturer.capture(request, call));
  }

  drain(wish: Pick<CaptureRequest, "pause">, call: DrainCall): Promise<DrainSummary> {
    const { records, kept } = this.#options;
    const parts = {
      kept: () => kept(call.signal),
      create: (request: CaptureRequest, options: CaptureCall) => this.create(request, options),
      watch: (id: BackupId, signal: AbortSignal) => this.watch(id, signal),
      unstored: () =>
        records
          .unfinished()
          .filter((record) => isVisible(record) && record.state !== "stored")
          .map(({ id }) => id),
    };
    return drain(parts, wish, call);
  }

  changed(id: BackupId): void {
    this.#events.emit("change", id);
  }

  own(): readonly Backup[] {
    return this.#options.records
      .list()
      .filter(isVisible)
      .map((record) => this.#ofRecord(record));
  }

  async list(signal: AbortSignal): Promise<readonly Backup[]> {
    const { records, store, log } = this.#options;
    const own = new Map(
      records
        .list()
        .filter(isVisible)
        .map((record) => [record.id, this.#ofRecord(record)]),
    );
    const others: Backup[] = [];
    try {
      const missing = new Set<string>(own.keys());
      let isWhole = true;
      const onDamaged = (key: string, error: unknown): void => {
        isWhole = false;
        log.warn({ name: key, error: errorMessage(error) }, "backup in the store cannot be read");
      };
      for await (const ref of store.list({ onDamaged }, signal))
        if (!missing.delete(ref.id)) others.push(backupOfRef(ref, store.location));
      // What was stored before the store was listed, and is not there, was removed by somebody else.
      if (isWhole)
        for (const { id, state } of own.values()) if (state === "stored" && missing.has(id)) own.delete(id);
    } catch (error) {
      signal.throwIfAborted();
      // What this node made can be listed without the store.
      log.warn({ error: errorMessage(error) }, "store cannot be listed");
    }
    const backups = [...own.values(), ...others];
    return backups.toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : 0));
  }

  async get(id: BackupId, signal: AbortSignal): Promise<Backup> {
    const record = this.#options.records.get(id);
    if (record !== undefined && isVisible(record)) return this.#ofRecord(record);
    const stored = await this.#options.store.getBackup(id, signal);
    if (stored === undefined) throw notFound(id);
    return backupOfStore(stored);
  }

  async *watch(id: BackupId, signal: AbortSignal): AsyncGenerator<Backup, void> {
    const changes = on(this.#events, "change", { signal });
    let backup = await this.get(id, signal);
    yield backup;
    if (isSettled(backup)) return;
    for await (const [changed] of changes) {
      if (changed !== id) continue;
      backup = await this.get(id, signal);
      yield backup;
      if (isSettled(backup)) return;
    }
  }

  phaseChanges(signal: AbortSignal): AsyncIterable<PhaseChange> {
    return this.#options.phases.changes(signal);
  }

  async requestRestore(
    { backupId, namespace, containerId }: RestoreRequest,
    signal: AbortSignal,
  ): Promise<Restore> {
    const { restores, registry, now } = this.#options;
    await this.get(backupId, signal);
    const upperdir = registry?.byContainer(namespace, containerId)?.upperdir;
    if (upperdir !== undefined && (await hasFiles(upperdir)))
      throw errors.RESTORE_TOO_LATE(`container ${containerId} in ${namespace} has been started before`, {
        details: { namespace, containerId, backup: backupId },
      });
    const restore = await restores.request({ backupId, namespace, containerId, requestedAt: now() });
    this.unpackAhead(backupId);
    return restore;
  }

  async prefetch(chain: ChainKey, signal: AbortSignal): Promise<BackupId | undefined> {
    const { continuations, layers } = this.#options;
    const tip = await continuations.find(chain, signal);
    if (tip === undefined) return undefined;
    const document = await this.documentOf(tip, signal);
    const unpacked = Promise.all(document.layers.map((layer) => layers.ensure(layer, "trusted")));
    await within(signal, unpacked);
    return tip;
  }

  async restores(): Promise<readonly Restore[]> {
    return this.#options.restores.list();
  }

  async remove(id: BackupId, signal: AbortSignal, options: RemoveOptions = {}): Promise<void> {
    const { records, bindings, holder, store } = this.#options;
    const { state, tenant } = await this.#found(id, signal);
    if (state !== "stored")
      throw errors.BACKUP_NOT_STORED(`backup ${id} is not stored yet, so it cannot be removed`);
    if (!(await this.#isDiscarded(id, signal)))
      throw errors.BACKUP_NOT_STORED(
        `the staged copy of backup ${id} is still there, so it cannot be removed`,
      );
    const snapshots = bindings.standingOn(id);
    if (snapshots.length > 0 && options.force !== true) throw inUse(id, hostname(), snapshots);
    // The store may not know yet that a container is gone.
    await within(signal, holder.flush());
    await store.assertRemovable(id, tenant, signal, options);
    // In this order: a record must not promise what the store has no longer. Cut off between the two, the store
    // still lists the backup and it can be removed again.
    if (!(await records.remove(id)))
      throw errors.BACKUP_NOT_STORED(
        `a backup that stands on ${id} is not stored yet, so ${id} cannot be removed`,
      );
    await store.removeBackup(id, signal, options);
    this.#options.phases.forget(id);
    this.changed(id);
  }

  async #found(id: BackupId, signal: AbortSignal): Promise<{ state: Backup["state"]; tenant: string }> {
    const { state, ...identity } = await this.get(id, signal);
    return { state, tenant: chainOf(identity).tenant };
  }

  /** Right after a backup was stored, its staged copy is still being deleted. */
  async #isDiscarded(id: BackupId, signal: AbortSignal): Promise<boolean> {
    const isPending = () => this.#options.records.get(id)?.discarded === false;
    const limit = AbortSignal.timeout(discardMs);
    const changes = on(this.#events, "change", { signal: AbortSignal.any([signal, limit]) });
    try {
      while (isPending()) await changes.next();
    } catch (error) {
      if (!limit.aborted) throw error;
    } finally {
      await changes.return?.();
    }
    return !isPending();
  }

  async settled(signal: AbortSignal): Promise<void> {
    const changes = on(this.#events, "change", { signal });
    const isDone = () =>
      this.#options.records.unfinished().every((record) => this.#queue?.isIdle(record) ?? false);
    const iterator = changes[Symbol.asyncIterator]();
    while (!isDone()) await iterator.next();
  }

  async sweepLayers(graceMs: number): Promise<number> {
    const { layers, bindings } = this.#options;
    return (await layers.sweep(() => bindings.layersInUse(), graceMs)).length;
  }

  /** A backup; waits until it is stored. Rejects with `BACKUP_NOT_STORED` when an attempt to store it failed. */
  async documentOf(id: BackupId, signal: AbortSignal): Promise<BackupDocument> {
    for await (const { state, failure } of this.watch(id, signal))
      if (state === "failed")
        throw errors.BACKUP_NOT_STORED(`backup ${id} could not be stored yet: ${failure ?? "unknown"}`);
    const stored = await this.#options.store.getBackup(id, signal);
    if (stored === undefined) throw notFound(id);
    return stored.document;
  }

  #ofRecord(record: BackupRecord): Backup {
    const { staging, phases } = this.#options;
    const current = phases.of(record.id);
    // The whole is found out only when somebody looks who will wait for long: that takes as long as reading a small layer.
    const isLong = current?.phase === "packing" && current.forMs > longPackMs;
    if (isLong && record.stagedBytes === undefined) this.#queue?.measure(record.id);
    return backupOfRecord(record, current, staging.layer(record.id));
  }

  /** The container's start waits for the same work and reports its failure. Few mounts use another form. */
  unpackAhead(id: BackupId): void {
    const { layers, log } = this.#options;
    const unpack = async (): Promise<void> => {
      const document = await this.documentOf(id, AbortSignal.timeout(prefetchLimitMs));
      await Promise.all(document.layers.map((layer) => layers.ensure(layer, "trusted")));
    };
    unpack().catch((error: unknown) =>
      log.warn({ backup: id, error: errorMessage(error) }, "layers not unpacked ahead"),
    );
  }
}

/** Milliseconds after which whoever watches a backup being packed is told of how much. */
const longPackMs = 10_000;
/** Milliseconds that removing a backup waits for its staged copy to be deleted. */
const discardMs = 25_000;
/** Milliseconds that unpacking ahead waits for a backup to be stored. */
const prefetchLimitMs = 600_000;

/** What may yet turn out to have nothing to back up is not shown. */
const isVisible = ({ state, final }: BackupRecord): boolean => state !== "intent" || !final;
const isSettled = ({ state }: Backup): boolean => state === "stored" || state === "failed";
const notFound = (id: BackupId) =>
  errors.BACKUP_NOT_FOUND(`backup ${id} does not exist`, { details: { backup: id } });

const hasFiles = (path: string): Promise<boolean> =>
  readdir(path).then(
    (names) => names.length > 0,
    () => false,
  );
