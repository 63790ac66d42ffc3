import { errorMessage, type Logger, type Namespace, type SnapshotKey, type Snapshotter } from "@aeon/core";
import { mayBeContainer, parseBackendKey } from "./backend-key.ts";
import type { ContainerSource } from "./container-source.ts";
import {
  deleteGarbage,
  insertEntry,
  markPresent,
  markRemoved,
  selectByContainer,
  selectKnown,
  selectNamespaces,
  selectRunning,
  selectUnidentified,
  updateExit,
  updateStarted,
} from "./entry-sql.ts";
import type { EntryStore } from "./entry-store.ts";
import type { Learner } from "./learner.ts";
import { upperdirOf } from "./upperdir.ts";

const nanosecondsPerSecond = 1_000_000_000n;
/** How long an entry stays after its snapshot went, so that late events and readers still find it. */
const graceSeconds = 600n;
/** The same for a container whose backup failed: somebody may want to know why. */
const failedGraceSeconds = 7n * 24n * 3600n;
/** Of a task that ended while nobody listened; containerd uses the same number for it. */
const unknownExitCode = 255;
/** Milliseconds one pass may spend on the backend, and on containerd. */
const passLimitMs = 30_000;

export interface ReconcileOptions {
  readonly store: EntryStore;
  readonly learner: Learner;
  readonly backend: Snapshotter;
  readonly source: ContainerSource | undefined;
  readonly log: Logger;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
  readonly isOurs: (space: Namespace) => boolean;
  /** Called with a container that turns out to have ended. */
  readonly onExit: (key: SnapshotKey) => void;
}

/** What a pass changed. */
export interface Reconciled {
  readonly added: number;
  readonly removed: number;
  readonly forgotten: number;
  /** False when containerd did not answer; the next pass tries again. */
  readonly containerd: boolean;
}

/** Compares the registry with the backend and with containerd, and mends it. */
export async function reconcile(options: ReconcileOptions, signal: AbortSignal): Promise<Reconciled> {
  const { store, now } = options;
  const backend = await withBackend(options, bounded(signal));
  const containerd = await withContainerd(options, bounded(signal));
  const at = now();
  const forgotten = await store.write((sql) =>
    deleteGarbage(
      sql,
      at - graceSeconds * nanosecondsPerSecond,
      at - failedGraceSeconds * nanosecondsPerSecond,
    ),
  );
  return { ...backend, containerd, forgotten };
}

const bounded = (signal: AbortSignal): AbortSignal =>
  AbortSignal.any([signal, AbortSignal.timeout(passLimitMs)]);

async function withBackend(
  { store, backend, now, isOurs }: ReconcileOptions,
  signal: AbortSignal,
): Promise<{ added: number; removed: number }> {
  const startedAt = now();
  const context = { caller: {}, signal };
  const active = new Set<SnapshotKey>();
  for await (const { name, kind } of await backend.list({ filters: [] }, context))
    if (kind === "active") active.add(name);
  const known = store.read(selectKnown);
  let removed = 0;
  for (const [key, entry] of known) {
    // What appeared during the listing may be missing from it.
    if (entry.removed === !active.has(key) || entry.createdAt >= startedAt) continue;
    if (entry.removed) store.gather(key, (sql) => markPresent(sql, key));
    else store.gather(key, (sql, at) => markRemoved(sql, key, at));
    removed += entry.removed ? 0 : 1;
  }
  let added = 0;
  for (const key of active) {
    const parts = parseBackendKey(key);
    if (known.has(key) || parts === undefined || !mayBeContainer(parts) || !isOurs(parts.namespace)) continue;
    const upperdir = await backend.mounts({ key }, context).then(upperdirOf, () => undefined);
    if (store.get(key) !== undefined) continue;
    added += 1;
    store.gather(key, (sql, at) => insertEntry(sql, { key, parts, upperdir, state: "preparing", at }));
  }
  return { added, removed };
}

async function withContainerd(options: ReconcileOptions, signal: AbortSignal): Promise<boolean> {
  const { store, source, isOurs, log } = options;
  if (source === undefined) return true;
  try {
    for (const space of store.read(selectNamespaces))
      if (isOurs(space)) await withNamespace(options, source, space, signal);
    return true;
  } catch (error) {
    log.warn({ error: errorMessage(error) }, "container registry could not be compared with containerd");
    return false;
  }
}

async function withNamespace(
  { store, learner, now, onExit }: ReconcileOptions,
  source: ContainerSource,
  space: Namespace,
  signal: AbortSignal,
): Promise<void> {
  const records = await source.list(space, signal);
  const unidentified = store.read((sql) => selectUnidentified(sql, space));
  for (const record of records) if (unidentified.has(record.snapshotKey)) learner.assign(space, record);
  await withTasks({ store, now, onExit }, source, space, signal);
}

async function withTasks(
  { store, now, onExit }: Pick<ReconcileOptions, "store" | "now" | "onExit">,
  source: ContainerSource,
  space: Namespace,
  signal: AbortSignal,
): Promise<void> {
  const askedAt = now();
  const unseen = new Map(store.read((sql) => selectRunning(sql, space)));
  for (const { id, running, exit } of await source.tasks(space, signal)) {
    unseen.delete(id);
    const entry = store.read((sql) => selectByContainer(sql, space, id));
    if (entry === undefined) continue;
    const key = entry.snapshotKey;
    const isOld = entry.exit !== undefined && entry.exit.at < askedAt;
    if (exit !== undefined && entry.exit?.at !== exit.at) {
      store.gather(key, (sql, at) => updateExit(sql, key, exit, at));
      onExit(key);
    } else if (running && (isOld || (entry.exit === undefined && entry.state === "preparing")))
      store.gather(key, (sql, at) => updateStarted(sql, key, at));
  }
  for (const key of unseen.values()) {
    if (store.get(key)?.exit !== undefined) continue;
    store.gather(key, (sql, at) => updateExit(sql, key, { code: unknownExitCode, at: askedAt }, at));
    onExit(key);
  }
}
