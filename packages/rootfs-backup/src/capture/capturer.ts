import { existsSync } from "node:fs";
import {
  errorMessage,
  isAeonError,
  toAeonError,
  type ContainerEntry,
  type ContainerRegistry,
  type HookContext,
  type Logger,
  type SnapshotKey,
} from "@aeon/core";
import { errors } from "../errors.ts";
import type { Phases } from "../queue/phases.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { BackupRecord, NewBackup } from "../records/backup-record.ts";
import type { BindingRecords } from "../records/binding-records.ts";
import { endOfFinal } from "../store/backup-id.ts";
import { boundTo, isEmptyFolder, layerOf, statSnapshot } from "./find-layer.ts";
import { howOf, newBackup, type Found } from "./new-backup.ts";
import type { Pods } from "./pods.ts";
import { mustKeep, type DefaultPolicy } from "./policy.ts";
import type { Restarts } from "./restarts.ts";
import { containerKey } from "./snapshot-key.ts";
import { exists, type Staging } from "./staging.ts";
import { reached } from "./steps.ts";

export interface CapturerOptions {
  readonly policy: DefaultPolicy;
  /** Bytes that may wait in staging before further removals are refused. */
  readonly stagingLimit: number;
  readonly registry: ContainerRegistry | undefined;
  readonly backups: BackupRecords;
  readonly bindings: BindingRecords;
  readonly pods: Pods;
  readonly restarts: Restarts;
  readonly staging: Staging;
  readonly phases: Phases;
  readonly log: Logger;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
  /** Called with every backup whose layer is safe in staging. */
  readonly onStaged: (backup: BackupRecord) => void;
}

type Context = Pick<HookContext, "backend" | "caller" | "signal">;

/**
 * Takes the writable layers of containers that go. Every step is durable before the next one starts, and each
 * call continues where an earlier one, or an earlier process, was cut off.
 */
export class Capturer {
  readonly #options: CapturerOptions;
  /** Captures under way, so that a repeated Remove joins the first. */
  readonly #running = new Map<SnapshotKey, Promise<BackupRecord | undefined>>();

  constructor(options: CapturerOptions) {
    this.#options = options;
  }

  /**
   * Decides whether the snapshot has to be kept and moves its layer to staging. Gives the backup, or undefined
   * when there is nothing to keep. Rejects with a `failed-precondition` for as long as the layer is not safe,
   * upon which containerd tries the removal again later.
   */
  capture(key: SnapshotKey, context: Context): Promise<BackupRecord | undefined> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const capture = this.#capture(key, context)
      .catch((error: unknown) => {
        if (isAeonError(error, "failed-precondition")) throw error;
        const cause = toAeonError(error, `capture ${key}`);
        throw errors.CAPTURE_DEFERRED(`snapshot ${key} is not captured yet: ${cause.message}`, { cause });
      })
      .finally(() => this.#running.delete(key));
    this.#running.set(key, capture);
    return capture;
  }

  /**
   * Moves the layer of an intended backup, or finds that it was moved already. The move is durable when this
   * resolves; the mark of it follows, since reconcile draws it from the intent and the folder.
   */
  async resume(record: BackupRecord): Promise<BackupRecord> {
    const { backups, staging, phases, log, onStaged } = this.#options;
    const { id } = record;
    await staging.take(record.upperdir, id);
    phases.enter(id, "staged");
    backups.staged(id).then(
      () => reached("staged", id),
      (error: unknown) =>
        log.error({ backup: id, error: errorMessage(error) }, "staged layer not recorded yet"),
    );
    const staged = backups.get(id) ?? record;
    onStaged(staged);
    return staged;
  }

  async #capture(key: SnapshotKey, context: Context): Promise<BackupRecord | undefined> {
    const { policy, backups, bindings, pods, staging, phases, now } = this.#options;
    const parts = containerKey(key);
    if (parts === undefined) return undefined;
    const info = await statSnapshot(key, context);
    if (info?.kind !== "active") return undefined;
    const earlier = backups.ofSnapshot(key, info.createdAt);
    if (earlier !== undefined) return this.#again(earlier);
    if (policy === "none") return undefined;
    const entry = await this.#entry(key, context.signal);
    if (entry?.sandbox === true) await pods.remember(entry);
    if (!mustKeep({ policy, entry, snapshotLabels: info.labels, podLabels: pods.labelsOf(entry) }))
      return undefined;
    const layer = await layerOf(key, context);
    const binding = boundTo(bindings.get(key), info);
    const found = { key, parts, info, layer, entry: pods.named(entry), binding };
    if (!existsSync(layer.upperdir)) return this.#recover(found);
    staging.assertSameDevice(layer.upperdir);
    if (binding === undefined && isEmptyFolder(layer.upperdir)) {
      phases.enter(key, "skipped", { reason: "the container changed nothing" });
      return undefined;
    }
    this.assertRoom(key);
    // It may have been settled where it lies meanwhile.
    const settled = backups.ofSnapshot(key, info.createdAt);
    if (settled !== undefined) return this.#again(settled);
    return this.#take(found, newBackup(found, howOf(entry, pods.endingOf(entry)), now()));
  }

  /**
   * Writes the intent down and moves the layer at the same time. Should the intent be lost with the power, the
   * layer is found again by its folder's name when the removal, which was not answered, is repeated.
   */
  async #take(found: Found, backup: NewBackup): Promise<BackupRecord> {
    const { registry, backups, phases, log } = this.#options;
    const intended = backups.intend(backup);
    phases.enter(backup.id, "capturing");
    const record = backups.get(backup.id);
    if (record === undefined) await intended;
    reached("intended", backup.id);
    const [staged] = await Promise.all([this.resume(record ?? { ...backup, ...intent }), intended]);
    registry?.transition(found.key, "backing-up").catch((error: unknown) => {
      log.debug(
        { snapshot: found.key, error: toAeonError(error, "transition").message },
        "container state not changed",
      );
    });
    const { trigger, identity } = staged;
    log.info(
      { snapshot: found.key, backup: staged.id, container: identity.containerId, trigger },
      "writable layer captured",
    );
    return staged;
  }

  /** A layer that was moved by a process whose record of it was lost. */
  async #recover(found: Found): Promise<BackupRecord | undefined> {
    const { backups, staging, pods, log, now } = this.#options;
    const how = howOf(found.entry, pods.endingOf(found.entry));
    const end = `-${endOfFinal(found.key, found.info.createdAt)}`;
    for (const id of await staging.list())
      if (id.endsWith(end) && backups.get(id) === undefined && (await staging.has(id))) {
        log.warn({ snapshot: found.key, backup: id }, "captured layer without a record found again");
        return this.#take(found, { ...newBackup(found, how, now()), id });
      }
    log.error({ snapshot: found.key }, "writable layer is missing, nothing to capture");
    return undefined;
  }

  /** What is known of the container; containerd is asked when that is nothing. */
  async #entry(key: SnapshotKey, signal: AbortSignal): Promise<ContainerEntry | undefined> {
    const { registry } = this.#options;
    const known = registry?.bySnapshot(key);
    if (registry === undefined || known?.containerId !== undefined) return known;
    return (await registry.learn(key, signal)) ?? known;
  }

  /** A removal that is repeated, by containerd or after a crash. */
  async #again(earlier: BackupRecord): Promise<BackupRecord | undefined> {
    const { backups, staging, log } = this.#options;
    if (earlier.place === "snapshot") return this.#leave(earlier);
    if (earlier.state !== "intent") return earlier;
    if ((await exists(earlier.upperdir)) || (await staging.has(earlier.id))) return this.resume(earlier);
    log.error(
      { backup: earlier.id, upperdir: earlier.upperdir },
      "writable layer vanished before it was captured",
    );
    await staging.drop(earlier.id);
    await backups.abandon(earlier.id);
    return undefined;
  }

  /** A layer that was backed up where it lies moves out of its snapshot while it is needed, and else goes with it. */
  async #leave(record: BackupRecord): Promise<BackupRecord> {
    const { backups, restarts, staging, onStaged } = this.#options;
    const { id, snapshotKey: key, state, upperdir } = record;
    if (state === "stored" && restarts.mayGo(id)) return record;
    if (state !== "stored") this.assertRoom(key);
    staging.assertSameDevice(upperdir);
    await restarts.whileUnseen(record, async () => {
      await staging.take(upperdir, id);
      await backups.moved(id);
    });
    reached("staged", id);
    const moved = backups.get(id) ?? record;
    onStaged(moved);
    return moved;
  }

  /** Throws `STAGING_FULL` while too much waits to be stored. */
  assertRoom(key: SnapshotKey): void {
    const { backups, stagingLimit } = this.#options;
    const { bytes, count } = backups.waiting();
    if (bytes < stagingLimit) return;
    throw errors.STAGING_FULL(
      `snapshot ${key} is kept where it is: ${count} captured layers of ${bytes} bytes wait to be stored, the limit is ${stagingLimit}`,
      { details: { waiting: bytes, limit: stagingLimit } },
    );
  }
}

/** What every new record starts with. */
const intent = {
  state: "intent",
  place: "staging",
  discarded: false,
  squashed: false,
  attempts: 0,
  nextAttemptAt: 0n,
} as const;
