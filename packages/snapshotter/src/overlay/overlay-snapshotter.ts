import { setImmediate } from "node:timers/promises";
import type {
  CallContext,
  CommitRequest,
  KeyRequest,
  Labels,
  ListRequest,
  Logger,
  Mount,
  PrepareRequest,
  SnapshotInfo,
  SnapshotKey,
  Snapshotter,
  SnapshotUsage,
  UpdateRequest,
} from "@aeon/core";
import { errors } from "../errors.ts";
import { compileFilters, type InfoFilter } from "../filter/compile.ts";
import type { Clock } from "./clock.ts";
import type { Directories } from "./directories.ts";
import { idMapsOf } from "./id-map.ts";
import { storedLabels, updatedLabels } from "./labels.ts";
import { filesOf, mountsOf, type MountSettings } from "./mounts.ts";
import { infoOf, type SnapshotRecord } from "./record.ts";
import type { Removals } from "./removals.ts";
import type { SnapshotStore } from "./snapshot-store.ts";
import type { Usage } from "./usage.ts";

const upperdirLabel = "containerd.io/snapshot/overlay.upperdir";
/** Snapshots that List goes through before others get a turn. */
const listSlice = 100;
/** Names in one log line. */
const named = 20;

/** What an overlay snapshotter is made of. */
export interface OverlayParts {
  readonly life: AsyncDisposable;
  readonly store: SnapshotStore;
  readonly directories: Directories;
  readonly removals: Removals;
  readonly usage: Usage;
  readonly clock: Clock;
  readonly mounts: MountSettings;
  readonly showUpperdir: boolean;
  readonly asyncRemove: boolean;
}

/** containerd's overlayfs semantics on numbered directories. A record exists only while its directory does. */
export class OverlaySnapshotter implements Snapshotter {
  readonly #parts: OverlayParts;
  /** Removed snapshots whose directories stay until the removal is on disk. */
  readonly #leaving = new Map<number, Promise<void>>();

  constructor(parts: OverlayParts) {
    this.#parts = parts;
  }

  prepare(request: PrepareRequest, context: CallContext): Promise<readonly Mount[]> {
    return this.#create("active", request, context.signal);
  }

  view(request: PrepareRequest, context: CallContext): Promise<readonly Mount[]> {
    return this.#create("view", request, context.signal);
  }

  async mounts({ key }: KeyRequest): Promise<readonly Mount[]> {
    const record = this.#require(key);
    if (record.kind === "committed")
      throw errors.SNAPSHOT_NOT_MOUNTABLE(`snapshot ${key} is committed: it has no mounts of its own`);
    return this.#mountsOf(record);
  }

  async commit(request: CommitRequest): Promise<void> {
    const { store, clock } = this.#parts;
    const record = this.#require(request.key);
    this.#refuseExisting(request.name);
    if (record.kind !== "active")
      throw errors.SNAPSHOT_NOT_ACTIVE(
        `snapshot ${request.key} is ${record.kind}: only active ones are committed`,
      );
    const parent = this.#committedParent(request, record);
    const now = clock();
    await store.replace(record, {
      id: record.id,
      key: request.name,
      ...(parent === undefined ? {} : { parent }),
      kind: "committed",
      createdAt: now,
      updatedAt: now,
      labels: this.#stored(request.labels),
    });
  }

  async remove({ key }: KeyRequest): Promise<void> {
    const { store, removals, asyncRemove } = this.#parts;
    const record = this.#require(key);
    if (store.hasChildren(record.id))
      throw errors.SNAPSHOT_HAS_CHILDREN(`cannot remove snapshot ${key}: other snapshots are made on it`);
    const leaving = this.#leave(record.id, store.remove(record));
    if (asyncRemove) return;
    await store.flushed();
    await leaving;
    await removals.settled();
  }

  async stat({ key }: KeyRequest): Promise<SnapshotInfo> {
    return this.#infoOf(this.#require(key));
  }

  async update({ name, labels, paths }: UpdateRequest): Promise<SnapshotInfo> {
    const { store, clock } = this.#parts;
    const record = this.#require(name);
    const next: SnapshotRecord = {
      ...record,
      updatedAt: clock(),
      labels: this.#stored(updatedLabels(record.labels, labels, paths)),
    };
    if (next.kind !== "committed") idMapsOf(next.labels);
    await store.replace(record, next);
    return this.#infoOf(next);
  }

  async list({ filters }: ListRequest, { signal }: CallContext): Promise<AsyncIterable<SnapshotInfo>> {
    const matches = await compileFilters(filters);
    this.#parts.store.assertOpen();
    // The copy is made before anything can change, so that the stream shows one moment.
    const infos = this.#parts.store.all().map((record) => ({ record, parent: this.#parentKey(record) }));
    return this.#stream(infos, matches, signal);
  }

  async usage({ key }: KeyRequest, { signal }: CallContext): Promise<SnapshotUsage> {
    return this.#parts.usage.of(this.#require(key), signal);
  }

  async cleanup(): Promise<void> {
    const { store, directories, removals } = this.#parts;
    await store.flushed();
    await Promise.all(this.#leaving.values());
    await directories.dropSpare();
    await this.#sweep();
    await removals.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.life[Symbol.asyncDispose]();
  }

  /** Brings disk and records together after a crash; directories without a record go in the background. */
  async repair(log: Logger): Promise<void> {
    const { store } = this.#parts;
    const present = new Set(await this.#sweep());
    store.skipTo(Math.max(0, ...present));
    const missing = store.all().filter(({ id }) => !present.has(id));
    if (missing.length > 0)
      log.error(
        { count: missing.length, snapshots: missing.slice(0, named).map(({ key }) => key) },
        "directories of recorded snapshots are missing; remove these snapshots",
      );
  }

  /** Deletes the directory once the record is gone for good. */
  #leave(id: number, durable: Promise<void>): Promise<void> {
    const { directories, removals } = this.#parts;
    directories.forget(id);
    const leaving = durable
      .then(
        () => removals.add(directories.of(id)),
        // The disk is in trouble, which the next write tells; the directory may still be needed.
        () => {},
      )
      .finally(() => this.#leaving.delete(id));
    this.#leaving.set(id, leaving);
    return leaving;
  }

  /** Hands orphans to removal; returns the ids of all directories. */
  async #sweep(): Promise<readonly number[]> {
    const { store, directories, removals } = this.#parts;
    const ids = await directories.list();
    for (const id of ids)
      if (store.byId(id) === undefined && !directories.isMaking(id) && !this.#leaving.has(id))
        removals.add(directories.of(id));
    return ids;
  }

  async #create(
    kind: "active" | "view",
    request: PrepareRequest,
    signal: AbortSignal,
  ): Promise<readonly Mount[]> {
    const { store, directories, removals, clock } = this.#parts;
    const labels = this.#stored(request.labels);
    const parent = this.#checkNew(request);
    const owner = idMapsOf(labels)?.root;
    const id = (kind === "active" ? directories.takeSpare() : undefined) ?? store.nextId();
    try {
      await directories.make(id, kind, { owner, parent });
      signal.throwIfAborted();
      if (this.#checkNew(request) !== parent)
        throw errors.SNAPSHOT_NOT_FOUND(`parent ${request.parent} was removed meanwhile`);
      const now = clock();
      const record: SnapshotRecord = {
        id,
        key: request.key,
        ...(parent === undefined ? {} : { parent }),
        kind,
        createdAt: now,
        updatedAt: now,
        labels,
      };
      await store.insert(record);
      if (kind === "active") directories.makeSpare(() => store.nextId());
      return this.#mountsOf(record);
    } catch (error) {
      if (store.byId(id) === undefined) removals.add(directories.of(id));
      throw error;
    } finally {
      directories.made(id);
    }
  }

  /** The parent's id for a new snapshot; throws unless it can be made now. */
  #checkNew({ key, parent }: PrepareRequest): number | undefined {
    const record = parent === undefined ? undefined : this.#require(parent, "parent snapshot");
    if (record !== undefined && record.kind !== "committed")
      throw errors.SNAPSHOT_PARENT_INVALID(`parent ${record.key} is ${record.kind}, not committed`);
    this.#refuseExisting(key);
    return record?.id;
  }

  #committedParent(request: CommitRequest, record: SnapshotRecord): number | undefined {
    if (request.parent === undefined) return record.parent;
    if (record.parent !== undefined && this.#parentKey(record) !== request.parent)
      throw errors.SNAPSHOT_PARENT_INVALID(
        `snapshot ${request.key} was made on ${this.#parentKey(record)}, not on ${request.parent}`,
      );
    const parent = this.#require(request.parent, "parent snapshot");
    if (parent.kind !== "committed")
      throw errors.SNAPSHOT_NOT_COMMITTED(`parent ${request.parent} is ${parent.kind}, not committed`);
    return parent.id;
  }

  #require(key: SnapshotKey, what = "snapshot"): SnapshotRecord {
    const { store } = this.#parts;
    store.assertOpen();
    const record = store.get(key);
    if (record === undefined) throw errors.SNAPSHOT_NOT_FOUND(`${what} ${key} does not exist`);
    return record;
  }

  #refuseExisting(key: SnapshotKey): void {
    if (this.#parts.store.get(key) !== undefined)
      throw errors.SNAPSHOT_EXISTS(`snapshot ${key} already exists`);
  }

  #mountsOf(record: SnapshotRecord): readonly Mount[] {
    return mountsOf(record, this.#parts.store.ancestors(record), this.#parts.mounts);
  }

  #parentKey({ parent }: SnapshotRecord): SnapshotKey | undefined {
    return parent === undefined ? undefined : this.#parts.store.byId(parent)?.key;
  }

  /** What of a caller's labels is stored: the label that only we show is not. */
  #stored(labels: Labels): Labels {
    const stored = storedLabels(labels);
    if (!this.#parts.showUpperdir || !Object.hasOwn(stored, upperdirLabel)) return stored;
    return Object.fromEntries(Object.entries(stored).filter(([name]) => name !== upperdirLabel));
  }

  #infoOf(record: SnapshotRecord, parent = this.#parentKey(record)): SnapshotInfo {
    const info = infoOf(record, parent);
    if (!this.#parts.showUpperdir) return info;
    const upperdir = filesOf(this.#parts.mounts.snapshots, record.id);
    return { ...info, labels: { ...info.labels, [upperdirLabel]: upperdir } };
  }

  async *#stream(
    infos: readonly { record: SnapshotRecord; parent: SnapshotKey | undefined }[],
    matches: InfoFilter,
    signal: AbortSignal,
  ): AsyncGenerator<SnapshotInfo, void, undefined> {
    for (const [index, { record, parent }] of infos.entries()) {
      if (index % listSlice === listSlice - 1) {
        await setImmediate();
        signal.throwIfAborted();
      }
      const info = this.#infoOf(record, parent);
      if (matches(info)) yield info;
    }
  }
}
