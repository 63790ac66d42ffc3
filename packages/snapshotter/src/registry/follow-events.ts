import { errorMessage, type ContainerId, type Logger, type Namespace, type SnapshotKey } from "@aeon/core";
import type { ContainerEvent, ContainerSource } from "./container-source.ts";
import {
  selectByContainer,
  selectByContainerAt,
  selectLatest,
  updateExit,
  updateOutOfMemory,
  updateStarted,
} from "./entry-sql.ts";
import type { EntryStore } from "./entry-store.ts";
import type { Learner } from "./learner.ts";

export interface FollowOptions {
  readonly store: EntryStore;
  readonly learner: Learner;
  readonly source: ContainerSource;
  readonly log: Logger;
  /** False for namespaces that aeon does not look after. */
  readonly isOurs: (space: Namespace) => boolean;
  /** Called with a container that has ended, and with one that ran out of memory. */
  readonly onExit: (key: SnapshotKey) => void;
  /** Called when events may have been missed; not awaited. */
  readonly onGap: () => void;
}

/** Brings containerd's events into the registry until the signal fires. */
export async function followEvents(options: FollowOptions, signal: AbortSignal): Promise<void> {
  for await (const event of options.source.events(signal)) {
    try {
      await apply(options, event, signal);
    } catch (error) {
      if (signal.aborted) return;
      options.log.warn({ event: event.kind, error: errorMessage(error) }, "containerd event not applied");
    }
  }
}

async function apply(options: FollowOptions, event: ContainerEvent, signal: AbortSignal): Promise<void> {
  if (event.kind === "gap") return options.onGap();
  if (!options.isOurs(event.namespace)) return;
  switch (event.kind) {
    case "created":
    case "updated":
      return await identify(options, event.namespace, event.id, signal);
    case "snapshot-removed":
      return await lastChance(options, event.namespace, event.clientKey, signal);
    case "started":
      return change(options, event.namespace, event.id, updateStarted);
    case "out-of-memory":
      return change(options, event.namespace, event.id, updateOutOfMemory, options.onExit);
    case "exited":
      return exited(options, event);
  }
}

async function identify(
  { source, learner }: FollowOptions,
  space: Namespace,
  id: ContainerId,
  signal: AbortSignal,
): Promise<void> {
  const record = await source.get(space, id, AbortSignal.any([signal, AbortSignal.timeout(1000)]));
  if (record !== undefined && record.snapshotKey !== "") learner.assign(space, record);
}

/** containerd drops the container's record right after the snapshot's, so an unknown one is asked for now. */
async function lastChance(
  { store, learner }: FollowOptions,
  space: Namespace,
  clientKey: string,
  signal: AbortSignal,
): Promise<void> {
  const entry = store.read((sql) => selectLatest(sql, space, clientKey));
  if (entry !== undefined && entry.containerId === undefined) await learner.learn(entry.snapshotKey, signal);
}

function change(
  { store }: FollowOptions,
  space: Namespace,
  id: ContainerId,
  update: typeof updateStarted,
  then?: (key: SnapshotKey) => void,
): void {
  const entry = store.read((sql) => selectByContainer(sql, space, id));
  if (entry === undefined) return;
  store.gather(entry.snapshotKey, (sql, at) => update(sql, entry.snapshotKey, at));
  then?.(entry.snapshotKey);
}

function exited({ store, onExit }: FollowOptions, event: Extract<ContainerEvent, { kind: "exited" }>): void {
  const exit = { code: event.code, at: event.at };
  const entry = store.read((sql) => selectByContainerAt(sql, event.namespace, event.id, exit.at));
  if (entry === undefined) return;
  store.gather(entry.snapshotKey, (sql, at) => updateExit(sql, entry.snapshotKey, exit, at));
  onExit(entry.snapshotKey);
}
