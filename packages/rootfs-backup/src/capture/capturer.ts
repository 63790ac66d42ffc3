import { existsSync, opendirSync } from "node:fs";
import {
  containerId,
  errorMessage,
  isAeonError,
  toAeonError,
  type ContainerEntry,
  type ContainerRegistry,
  type HookContext,
  type Logger,
  type SnapshotInfo,
  type SnapshotKey,
} from "@aeon/core";
import { errors } from "../errors.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { BackupRecord, NewBackup } from "../records/backup-record.ts";
import type { Binding, BindingRecords } from "../records/binding-records.ts";
import type { LabelledPods } from "../records/labelled-pods.ts";
import { newBackupId } from "../store/backup-id.ts";
import type { BackupIdentity } from "../store/backup-document.ts";
import { enabledLabel, mustKeep, type DefaultPolicy } from "./policy.ts";
import { containerKey } from "./snapshot-key.ts";
import { exists, type Staging } from "./staging.ts";
import { reached } from "./steps.ts";
import { writableLayer, type WritableLayer } from "./writable-layer.ts";

export interface CapturerOptions {
  readonly policy: DefaultPolicy;
  /** Bytes that may wait in staging before further removals are refused. */
  readonly stagingLimit: number;
  readonly registry: ContainerRegistry | undefined;
  readonly backups: BackupRecords;
  readonly bindings: BindingRecords;
  readonly labelledPods: LabelledPods;
  readonly staging: Staging;
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
    const { backups, staging, log, onStaged } = this.#options;
    const { id } = record;
    await staging.take(record.upperdir, id);
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
    const { policy, registry, backups, bindings, log } = this.#options;
    const parts = containerKey(key);
    if (parts === undefined || policy === "none") return undefined;
    const entry = await this.#entry(key, context.signal);
    const info = await stat(key, context);
    if (info?.kind !== "active") return undefined;
    const earlier = backups.ofSnapshot(key, info.createdAt);
    if (earlier !== undefined) return this.#again(earlier);
    if (entry?.sandbox === true) await this.#rememberPod(entry);
    const podEnabled = entry?.pod !== undefined && this.#podEnabled(entry.pod.uid);
    if (!mustKeep({ policy, entry, snapshotLabels: info.labels, podEnabled })) return undefined;
    const layer = await this.#layer(key, context);
    if (layer === undefined) return undefined;
    const binding = boundTo(bindings.get(key), info);
    if (binding === undefined && isEmpty(layer.upperdir)) return undefined;
    this.#assertRoom(key);
    const identity = identityOf(key, entry, parts);
    const record = await this.#intend({ key, info, layer, identity, binding });
    const staged = await this.resume(record);
    await registry?.transition(key, "backing-up").catch((error: unknown) => {
      log.debug(
        { snapshot: key, error: toAeonError(error, "transition").message },
        "container state not changed",
      );
    });
    log.info(
      { snapshot: key, backup: staged.id, container: identity.containerId },
      "writable layer captured",
    );
    return staged;
  }

  async #intend({ key, info, layer, identity, binding }: Intent): Promise<BackupRecord> {
    const { backups, now } = this.#options;
    const createdAt = now();
    const backup: NewBackup = {
      id: newBackupId(new Date(Number(createdAt / 1_000_000n))),
      snapshotKey: key,
      snapshotCreated: info.createdAt,
      upperdir: layer.upperdir,
      overlay: layer.overlay,
      ...(layer.idMaps !== undefined && { idMaps: layer.idMaps }),
      identity,
      createdAt,
      ...(binding !== undefined && { parent: { id: binding.backup, layers: binding.layers } }),
    };
    await backups.intend(backup);
    reached("intended", backup.id);
    return { ...backup, state: "intent", discarded: false, attempts: 0, nextAttemptAt: 0n };
  }

  /** What is known of the container; containerd is asked when that is nothing. */
  async #entry(key: SnapshotKey, signal: AbortSignal): Promise<ContainerEntry | undefined> {
    const { registry } = this.#options;
    const known = registry?.bySnapshot(key);
    if (registry === undefined || known?.containerId !== undefined) return known;
    return (await registry.learn(key, signal)) ?? known;
  }

  #podEnabled(uid: string): boolean {
    const { registry, labelledPods } = this.#options;
    const sandbox = registry?.list().find((entry) => entry.sandbox && entry.pod?.uid === uid);
    return sandbox?.labels[enabledLabel] === "true" || labelledPods.has(uid);
  }

  async #rememberPod({ pod, labels }: ContainerEntry): Promise<void> {
    const { labelledPods, now } = this.#options;
    if (pod !== undefined && labels[enabledLabel] === "true") await labelledPods.remember(pod.uid, now());
  }

  /** A removal that is repeated, by containerd or after a crash. */
  async #again(earlier: BackupRecord): Promise<BackupRecord | undefined> {
    const { backups, staging, log } = this.#options;
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

  async #layer(key: SnapshotKey, { backend, caller, signal }: Context): Promise<WritableLayer | undefined> {
    const layer = writableLayer(await backend.mounts({ key }, { caller, signal }));
    if (layer === undefined)
      throw errors.UPPERDIR_UNKNOWN(
        `snapshot ${key} has to be kept but is neither an overlay nor a bind mount`,
      );
    if (!existsSync(layer.upperdir)) {
      this.#options.log.error(
        { snapshot: key, upperdir: layer.upperdir },
        "writable layer is missing, nothing to capture",
      );
      return undefined;
    }
    this.#options.staging.assertSameDevice(layer.upperdir);
    return layer;
  }

  #assertRoom(key: SnapshotKey): void {
    const { backups, stagingLimit } = this.#options;
    const { bytes, count } = backups.waiting();
    if (bytes < stagingLimit) return;
    throw errors.STAGING_FULL(
      `snapshot ${key} is kept where it is: ${count} captured layers of ${bytes} bytes wait to be stored, the limit is ${stagingLimit}`,
      { details: { waiting: bytes, limit: stagingLimit } },
    );
  }
}

interface Intent {
  readonly key: SnapshotKey;
  readonly info: SnapshotInfo;
  readonly layer: WritableLayer;
  readonly identity: BackupIdentity;
  readonly binding: Binding | undefined;
}

/** Undefined when the snapshot is gone, which the removal itself will answer. */
async function stat(
  key: SnapshotKey,
  { backend, caller, signal }: Context,
): Promise<SnapshotInfo | undefined> {
  try {
    return await backend.stat({ key }, { caller, signal });
  } catch (error) {
    if (isAeonError(error, "not-found")) return undefined;
    throw error;
  }
}

const boundTo = (binding: Binding | undefined, info: SnapshotInfo): Binding | undefined =>
  binding?.snapshotCreated === info.createdAt ? binding : undefined;

/** Reads the start of the folder only, which takes microseconds. */
function isEmpty(path: string): boolean {
  using folder = opendirSync(path);
  return folder.readSync() === null;
}

function identityOf(
  key: SnapshotKey,
  entry: ContainerEntry | undefined,
  parts: { readonly namespace: string; readonly clientKey: string },
): BackupIdentity {
  return {
    namespace: entry?.namespace ?? parts.namespace,
    containerId: entry?.containerId ?? containerId(parts.clientKey),
    snapshotKey: key,
    labels: { ...entry?.labels },
    ...(entry?.image !== undefined && { image: entry.image }),
    ...(entry?.pod !== undefined && { pod: entry.pod }),
    ...(entry?.exit !== undefined && { exit: { code: entry.exit.code, at: String(entry.exit.at) } }),
    ...(entry?.outOfMemory !== undefined && { outOfMemory: entry.outOfMemory }),
  };
}
