import { closeSync, openSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import {
  Lifetime,
  linux,
  type ContainerEntry,
  type ContainerId,
  type ContainerRegistry,
  type Logger,
  type Namespace,
  type SnapshotKey,
  type Snapshotter,
} from "@aeon/core";
import { leftOut } from "../archive/exclusions.ts";
import { errors } from "../errors.ts";
import type { BackupRecord, NewBackup } from "../records/backup-record.ts";
import type { Phases } from "../queue/phases.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { BindingRecords } from "../records/binding-records.ts";
import { syncFolder } from "../objects/posix/durable-files.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";
import type { Packed } from "../worker/job.ts";
import { boundTo, findLayer, statSnapshot } from "./find-layer.ts";
import type { Freezer } from "./freezer.ts";
import { newBackup } from "./new-backup.ts";
import { Slots } from "./slots.ts";
import { containerKey } from "./snapshot-key.ts";
import type { Pods } from "./pods.ts";
import type { Staging } from "./staging.ts";
import { reached } from "./steps.ts";
import { mayWrite, type Tasks } from "./tasks.ts";
import type { Consistency, Trigger } from "./trigger.ts";

/** A wish for a backup of a container that is not being removed. */
export interface CaptureRequest {
  readonly namespace: Namespace;
  readonly containerId: ContainerId;
  readonly trigger: Extract<Trigger, "manual" | "scheduled" | "drain">;
  /** Makes all processes stand still while the layer is read. */
  readonly pause?: {
    /** Milliseconds they stand still, at most. */
    readonly maxMs: number;
    /** What becomes of a backup that takes longer: it goes on while they run, or fails. */
    readonly otherwise: "live" | "fail";
  };
}

/** How far a capture is. `total` is an estimate, absent until there is one. */
export interface CaptureProgress {
  readonly phase: "waiting" | "freezing" | "reading" | "staged";
  readonly bytes: number;
  readonly total?: number;
}

export interface CaptureCall {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: CaptureProgress) => void;
}

export interface LiveCapturerOptions {
  readonly registry: ContainerRegistry | undefined;
  readonly backend: Snapshotter | undefined;
  readonly backups: BackupRecords;
  readonly bindings: BindingRecords;
  readonly pods: Pods;
  readonly staging: Staging;
  readonly worker: ArchiveWorker;
  readonly tasks: Tasks | undefined;
  readonly freezer: Freezer | undefined;
  readonly phases: Phases;
  /** Layers read at the same time. */
  readonly concurrency: number;
  /** zstd level, 1…19. */
  readonly level: number;
  /** Paths in containers that no backup holds; see Exclusions. */
  readonly exclude: readonly string[];
  readonly assertRoom: (key: SnapshotKey) => void;
  readonly log: Logger;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
  readonly onStaged: (backup: BackupRecord) => void;
}

/** A container's whose files change while they are read may be in the way of reading them; then it is tried again. */
const attempts = 3;

/**
 * Takes backups of containers without ending them. The layer is packed where it is, into staging; from there on a
 * backup is like any other.
 */
export class LiveCapturer implements AsyncDisposable {
  readonly #options: LiveCapturerOptions;
  readonly #life = new Lifetime();
  readonly #running = new Map<SnapshotKey, Promise<BackupRecord>>();
  readonly #slots: Slots;

  constructor(options: LiveCapturerOptions) {
    this.#options = options;
    this.#slots = new Slots(options.concurrency);
    this.#life.defer(async () => void (await Promise.allSettled(this.#running.values())));
  }

  /**
   * Resolves when the layer is safe on this host. Rejects with `CONTAINER_NOT_CAPTURABLE`, `CAPTURE_RUNNING`,
   * `PAUSE_TOO_SHORT`, `STAGING_FULL`, or with why the layer could not be read.
   */
  async capture(request: CaptureRequest, call: CaptureCall): Promise<BackupRecord> {
    const entry = this.#entryOf(request);
    const { snapshotKey: key } = entry;
    if (this.#running.has(key))
      throw errors.CAPTURE_RUNNING(`container ${request.containerId} is being backed up already`, {
        details: { namespace: request.namespace, containerId: request.containerId },
      });
    const signal = AbortSignal.any([call.signal, this.#life.signal]);
    const work = this.#inTurn(entry, request, { ...call, signal }).finally(() => {
      this.#running.delete(key);
      this.#options.phases.forget(key);
    });
    this.#running.set(key, work);
    return await work;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  async #inTurn(entry: ContainerEntry, request: CaptureRequest, call: CaptureCall): Promise<BackupRecord> {
    call.onProgress?.({ phase: "waiting", bytes: 0 });
    this.#options.phases.enter(entry.snapshotKey, "pending");
    using _ = await this.#slots.take(call.signal);
    return await this.#capture(entry, request, call);
  }

  #entryOf({ namespace, containerId }: CaptureRequest): ContainerEntry {
    const entry = this.#options.registry?.byContainer(namespace, containerId);
    if (entry === undefined || entry.sandbox)
      throw errors.CONTAINER_NOT_CAPTURABLE(
        entry === undefined
          ? `no container ${containerId} is known in ${namespace}`
          : `container ${containerId} in ${namespace} is a pod's sandbox, which has no files of its own`,
        { details: { namespace, containerId } },
      );
    return entry;
  }

  async #capture(entry: ContainerEntry, request: CaptureRequest, call: CaptureCall): Promise<BackupRecord> {
    const { backups, staging, tasks, phases, assertRoom, log, onStaged } = this.#options;
    const { snapshotKey: key } = entry;
    assertRoom(key);
    const state = await tasks?.state(request.namespace, request.containerId, call.signal);
    const isStill = tasks !== undefined && (!mayWrite(state) || state === "paused");
    const unpaused: Consistency = isStill ? (state === "paused" ? "frozen" : "exact") : "live";
    const backup = await this.#describe(entry, request, unpaused, call.signal);
    await backups.intend(backup);
    phases.rename(key, backup.id);
    phases.enter(backup.id, "capturing");
    reached("intended", backup.id);
    try {
      await staging.make(backup.id);
      const { packed, consistency } = isStill
        ? { packed: await this.#pack(backup, call), consistency: unpaused }
        : await this.#read(backup, request, call);
      await syncFolder(staging.folder(backup.id));
      await syncFolder(staging.path);
      await backups.packed(backup.id, consistency, packed);
    } catch (error) {
      await staging.dropPacked(backup.id);
      await backups.abandon(backup.id);
      phases.forget(backup.id);
      throw error;
    }
    phases.enter(backup.id, "staged");
    reached("staged", backup.id);
    const staged = backups.get(backup.id);
    if (staged === undefined)
      throw errors.BACKUP_NOT_FOUND(`backup ${backup.id} was removed while it was made`);
    log.info(
      { snapshot: key, backup: backup.id, consistency: staged.consistency },
      "running container captured",
    );
    call.onProgress?.({ phase: "staged", bytes: 0 });
    onStaged(staged);
    return staged;
  }

  async #describe(
    entry: ContainerEntry,
    { trigger, containerId }: CaptureRequest,
    consistency: Consistency,
    signal: AbortSignal,
  ): Promise<NewBackup> {
    const { backend, bindings, pods, staging, now } = this.#options;
    const { snapshotKey: key } = entry;
    const parts = containerKey(key);
    const context = backend && { backend, caller: {}, signal };
    const info = context && (await statSnapshot(key, context));
    const layer =
      context !== undefined && info?.kind === "active" ? await findLayer(key, context) : undefined;
    if (parts === undefined || info === undefined || layer === undefined)
      throw errors.CONTAINER_NOT_CAPTURABLE(`container ${containerId} has no writable layer on this host`, {
        details: { snapshot: key },
      });
    staging.assertSameDevice(layer.upperdir);
    const binding = boundTo(bindings.get(key), info);
    return newBackup(
      { key, parts, info, layer, entry: pods.named(entry), binding },
      { trigger, consistency, final: false },
      now(),
    );
  }

  /** Reads a layer whose container runs, standing still if that is asked for. */
  async #read(
    backup: NewBackup,
    { pause, namespace, containerId }: CaptureRequest,
    call: CaptureCall,
  ): Promise<{ readonly packed: Packed; readonly consistency: Consistency }> {
    if (pause === undefined) return { packed: await this.#retried(backup, call), consistency: "live" };
    const { freezer, now } = this.#options;
    if (freezer === undefined)
      throw errors.CONTAINER_NOT_CAPTURABLE(
        `container ${containerId} cannot be made to stand still: aeon has no connection to containerd`,
      );
    call.onProgress?.({ phase: "freezing", bytes: 0 });
    await syncFileSystemOf(backup.upperdir);
    const bound = Date.now() + pause.maxMs;
    await using frozen = await freezer.freeze(
      { namespace, containerId, backup: backup.id, since: now() },
      AbortSignal.any([call.signal, AbortSignal.timeout(pause.maxMs)]),
    );
    const stop = new AbortController();
    try {
      const reading = this.#pack(backup, { ...call, signal: AbortSignal.any([call.signal, stop.signal]) });
      const inTime = await isDoneBy(bound, reading, stop.signal).catch((error: unknown) => error);
      await frozen[Symbol.asyncDispose]();
      if (inTime !== false) return { packed: await reading, consistency: "frozen" };
      const passed = `its processes were let go on after ${pause.maxMs} ms, before all of it was read`;
      if (pause.otherwise === "live") return { packed: withNote(await reading, passed), consistency: "live" };
      stop.abort(new Error(passed));
      await reading.catch(() => {});
      throw errors.PAUSE_TOO_SHORT(`container ${containerId} is not backed up: ${passed}`, {
        details: { namespace, containerId, maxPauseMs: pause.maxMs },
      });
    } finally {
      stop.abort(new Error("the wait is over"));
    }
  }

  async #retried(backup: NewBackup, call: CaptureCall): Promise<Packed> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#pack(backup, call);
      } catch (error) {
        if (attempt === attempts || call.signal.aborted) throw error;
        await this.#options.staging.dropPacked(backup.id);
        await this.#options.staging.make(backup.id);
      }
    }
  }

  async #pack(
    { id, identity, snapshotKey: key, upperdir, overlay, idMaps }: NewBackup,
    call: CaptureCall,
  ): Promise<Packed> {
    const { staging, worker, level, exclude, backend } = this.#options;
    const { onProgress, signal } = call;
    let total: number | undefined;
    if (onProgress !== undefined)
      backend?.usage({ key }, { caller: {}, signal }).then(
        ({ size }) => (total = Number(size)),
        () => {},
      );
    const report = (bytes: number): void =>
      onProgress?.({ phase: "reading", bytes, ...(total !== undefined && { total }) });
    report(0);
    const left = leftOut(exclude, identity.pod !== undefined);
    const packed = await worker.pack(
      { source: upperdir, target: staging.packed(id), overlay, idMaps, level, ...left },
      signal,
      onProgress && report,
    );
    reached("packed", id);
    return packed;
  }
}

/** False when the time, in milliseconds since the epoch, comes first. */
const isDoneBy = (time: number, work: Promise<unknown>, signal: AbortSignal): Promise<boolean> =>
  Promise.race([work.then(() => true), delay(Math.max(0, time - Date.now()), false, { signal })]);

/** What the processes wrote before they stood still is on disk then, and reading does not wait for it. */
async function syncFileSystemOf(path: string): Promise<void> {
  const fd = openSync(path, "r");
  try {
    await linux.syncFileSystem(fd);
  } finally {
    closeSync(fd);
  }
}

/** Says in the report of a backup that it does not show one moment. */
const withNote = ({ layer, report }: Packed, reason: string): Packed => ({
  layer,
  report: {
    ...report,
    deviations: [{ kind: "torn", path: ".", reason }, ...report.deviations],
    deviationCount: report.deviationCount + 1,
  },
});
