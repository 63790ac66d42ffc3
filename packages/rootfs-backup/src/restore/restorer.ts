import { mkdir, readdir } from "node:fs/promises";
import {
  containerId,
  errorMessage,
  isAeonError,
  toAeonError,
  type BackupId,
  type ContainerEntry,
  type ContainerRegistry,
  type ContainerState,
  type HookContext,
  type Logger,
  type Mount,
  type SnapshotInfo,
  type SnapshotKey,
} from "@aeon/core";
import type { Pods } from "../capture/pods.ts";
import type { Inheritance, Restarts } from "../capture/restarts.ts";
import { containerKey } from "../capture/snapshot-key.ts";
import { reached } from "../capture/steps.ts";
import { optionValue, writableLayer, type WritableLayer } from "../capture/writable-layer.ts";
import { errors } from "../errors.ts";
import type { Binding, BindingRecords } from "../records/binding-records.ts";
import type { Choice } from "../records/choice-records.ts";
import type { Restore, RestoreRecords } from "../records/restore-records.ts";
import type { BackupDocument, StoredLayer } from "../store/backup-document.ts";
import type { Continuations } from "./continuations.ts";
import type { Choices } from "./choices.ts";
import { dressUpperdir } from "./dress-upperdir.ts";
import type { Holder } from "./holder.ts";
import type { ImageChange, Verdict } from "./image-change.ts";
import { layeredMounts, workdirOf } from "./layered-mounts.ts";
import type { RestoredLayers } from "./restored-layers.ts";
import { within } from "./within.ts";

export interface RestorerOptions {
  readonly registry: ContainerRegistry | undefined;
  readonly restores: RestoreRecords;
  readonly bindings: BindingRecords;
  readonly layers: RestoredLayers;
  readonly restarts: Restarts;
  /** A backup, once it is stored; waits for one that is still being packed. */
  readonly documentOf: (backup: Restore["backupId"], signal: AbortSignal) => Promise<BackupDocument>;
  /** Whether a backup still has its name in the store. */
  readonly hasBackup: (backup: BackupId, tenant: string, signal: AbortSignal) => Promise<boolean>;
  readonly holder: Holder;
  readonly continuations: Continuations;
  readonly choices: Choices;
  readonly imageChange: ImageChange;
  /** What becomes of a container whose workload's last backup is damaged. */
  readonly onDamage: "refuse" | "previous";
  /** Told whenever an older backup is taken. */
  readonly onFallback: () => void;
  readonly pods: Pods;
  readonly log: Logger;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
}

type Context = Pick<HookContext, "backend" | "caller" | "signal">;

/** The container that is about to start. */
interface Target {
  readonly key: SnapshotKey;
  readonly info: SnapshotInfo;
  readonly upper: WritableLayer;
  /** As the backend gave them. */
  readonly mounts: readonly Mount[];
  readonly context: Context;
}

/** Puts the layers of a requested backup under a container. */
export class Restorer {
  readonly #options: RestorerOptions;
  readonly #running = new Map<SnapshotKey, Promise<Binding | undefined>>();

  constructor(options: RestorerOptions) {
    this.#options = options;
  }

  /**
   * The mounts that the container has to get: with the layers of its backup, always the same ones, or undefined
   * when nothing was restored into it. Rejects while the layers are not all there, so that no container ever
   * starts with half of its files.
   */
  async mounts(
    key: SnapshotKey,
    mounts: readonly Mount[],
    context: Context,
  ): Promise<readonly Mount[] | undefined> {
    const { bindings, restarts } = this.#options;
    const isKnown = bindings.get(key) !== undefined || this.#requested(key) !== undefined;
    const starting = isKnown ? undefined : await restarts.starting(key, context);
    if (!isKnown && starting === undefined) return undefined;
    const upper = writableLayer(mounts);
    if (upper === undefined) return undefined;
    this.#refuseMappedBind(key, mounts[0]);
    const { backend, caller, signal } = context;
    const info = await backend.stat({ key }, { caller, signal });
    const binding = await this.#bound({ key, info, upper, mounts, context }, starting);
    if (binding === undefined) return undefined;
    const unpacked = await within(signal, this.#unpack(binding.layers, upper));
    const folders = [...unpacked, ...(await restarts.handOut(key, binding.inPlace))];
    if (mounts[0]?.type === "bind") await mkdir(workdirOf(upper.upperdir), { mode: 0o711, recursive: true });
    return layeredMounts(mounts, folders);
  }

  /** As an overlay its upper directory would hold other ids than the mapped bind mount does. */
  #refuseMappedBind(key: SnapshotKey, mount: Mount | undefined): void {
    if (mount?.type !== "bind" || optionValue(mount, "uidmap") === undefined) return;
    if (this.#requested(key) === undefined) return;
    throw errors.RESTORE_UNSUPPORTED(
      `container of snapshot ${key} has mapped ids and no image; restore into one without a user namespace`,
    );
  }

  #bound(target: Target, starting: ContainerEntry | undefined): Promise<Binding | undefined> {
    const { key, info } = target;
    const existing = this.#options.bindings.get(key);
    if (existing?.snapshotCreated === info.createdAt) return Promise.resolve(existing);
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const restore = this.#requested(key);
    if (restore === undefined && starting === undefined) return Promise.resolve(undefined);
    const work = (
      restore === undefined && starting !== undefined
        ? this.#inherit(starting, target)
        : this.#restore(restore, target)
    ).finally(() => this.#running.delete(key));
    this.#running.set(key, work);
    return work;
  }

  /**
   * A container starts with what was chosen for it; else one that replaces one of its pod stands on what that one
   * left, any other on what its workload left.
   */
  async #inherit(entry: ContainerEntry, target: Target): Promise<Binding | undefined> {
    const { restarts, restores, choices, now } = this.#options;
    const { info, upper, context } = target;
    const { namespace, containerId: id } = entry;
    if ((await readdir(upper.upperdir)).length > 0) return undefined;
    const chosen = choices.pendingFor(entry);
    if (chosen !== undefined) return await this.#choose(chosen, entry, target);
    const inheritance = await restarts.inherit(entry, info, upper, context);
    if (inheritance?.kind === "in-place") return this.#stack(inheritance, target);
    if (inheritance?.kind === "clean" || id === undefined) return undefined;
    if (inheritance === undefined) {
      await within(context.signal, choices.opened(entry, context.signal));
      const late = choices.pendingFor(entry);
      if (late !== undefined) return await this.#choose(late, entry, target);
    }
    const backupId = inheritance?.backup ?? (await this.#continued(entry, target));
    if (backupId === undefined) return undefined;
    const wish = { backupId, namespace, containerId: id, requestedAt: now() };
    const restore = await restores.request(wish);
    if (inheritance?.backup !== undefined || this.#options.onDamage === "refuse")
      return this.#restore(restore, target);
    return await this.#restoreWhole(restore, target);
  }

  async #choose(choice: Choice, entry: ContainerEntry, target: Target): Promise<Binding | undefined> {
    const { restores, now } = this.#options;
    const { namespace, containerId: id } = entry;
    if (id === undefined) return undefined;
    const wish = { backupId: choice.backup, namespace, containerId: id, requestedAt: now() };
    return await this.#restore(await restores.request(wish), target);
  }

  /** The newest backup of the workload that is whole, when the last one is not. */
  async #restoreWhole(last: Restore, target: Target): Promise<Binding | undefined> {
    const { continuations, restores, onFallback, log, now } = this.#options;
    const { signal } = target.context;
    for (let restore = last; ;)
      try {
        return await this.#restore(restore, target);
      } catch (error) {
        const isDamaged = isAeonError(error, "data-loss") || isAeonError(error, "permission-denied");
        const previous = isDamaged ? await continuations.before(restore.backupId, signal) : undefined;
        if (previous === undefined) throw error;
        log.error(
          { snapshot: target.key, damaged: restore.backupId, instead: previous, error: errorMessage(error) },
          "backup is damaged, the one before it is restored",
        );
        onFallback();
        restore = await restores.request({ ...restore, backupId: previous, requestedAt: now() });
      }
  }

  /** What the container's workload left, on whatever node; a failure is shown in the container's state. */
  async #continued(entry: ContainerEntry, { key, info, context }: Target): Promise<BackupId | undefined> {
    const { continuations } = this.#options;
    const chain = continuations.chainOf(entry, info.labels);
    if (chain === undefined) return undefined;
    try {
      return await within(context.signal, continuations.tip(chain, context.signal));
    } catch (error) {
      this.#transition(key, "failed", errorMessage(error));
      throw error;
    }
  }

  async #stack(
    { backup, layers, inPlace }: Extract<Inheritance, { kind: "in-place" }>,
    { key, info, upper, context }: Target,
  ): Promise<Binding> {
    const { restarts, bindings, holder, log, now } = this.#options;
    const unpacked = await within(context.signal, this.#unpack(layers, upper));
    const top = [...unpacked, ...inPlace.map((id) => restarts.folder(id))].at(-1);
    if (top !== undefined) dressUpperdir(upper.upperdir, top, upper.idMaps);
    reached("dressed", backup);
    const binding = {
      snapshotKey: key,
      snapshotCreated: info.createdAt,
      backup,
      layers,
      inPlace,
      boundAt: now(),
    };
    await bindings.bind(binding);
    holder.poke();
    reached("bound", backup);
    log.info({ snapshot: key, backup, inPlace: inPlace.length }, "container keeps its predecessor's files");
    return binding;
  }

  #requested(key: SnapshotKey): Restore | undefined {
    const { registry, restores } = this.#options;
    const parts = containerKey(key);
    if (parts === undefined || restores.idle) return undefined;
    const entry = registry?.bySnapshot(key);
    return restores.pending(parts.namespace, entry?.containerId ?? containerId(parts.clientKey));
  }

  async #restore(restore: Restore | undefined, target: Target): Promise<Binding | undefined> {
    const { restores, log, now } = this.#options;
    const { key, upper } = target;
    if (restore === undefined) return undefined;
    if ((await readdir(upper.upperdir)).length > 0) {
      const failure = `container ${restore.containerId} has been started before, so nothing is restored into it`;
      log.error({ snapshot: key, backup: restore.backupId }, failure);
      await restores.finish(restore, now(), { failure });
      return undefined;
    }
    this.#transition(key, "restoring");
    const entry = this.#options.registry?.bySnapshot(key);
    const { choices } = this.#options;
    const pending = entry && choices.pendingFor(entry);
    const choice = pending?.backup === restore.backupId ? pending : undefined;
    if (entry) choices.report(entry, "waiting", `waits for the files of backup ${restore.backupId}`);
    try {
      const binding = await this.#bind(restore, target);
      if (choice !== undefined)
        await (binding === undefined
          ? choices.refused(choice, `the container started clean: its image is another one`)
          : choices.heeded(choice));
      if (entry && binding) choices.report(entry, "restored", `starts with backup ${restore.backupId}`);
      else if (entry) choices.report(entry, "failed", "starts clean: its image is another one");
      return binding;
    } catch (error) {
      const failure = errorMessage(error);
      await restores.note(restore, failure);
      if (choice !== undefined) await choices.note(choice, failure);
      if (entry) choices.report(entry, "failed", failure);
      this.#transition(key, "failed", failure);
      throw error;
    }
  }

  async #bind(restore: Restore, target: Target): Promise<Binding | undefined> {
    const { restores, bindings, documentOf, log, now } = this.#options;
    const { key, info, upper, context } = target;
    const { backupId: backup } = restore;
    const document = await documentOf(backup, context.signal);
    const { layers } = document;
    const folders = await within(context.signal, this.#unpack(layers, upper));
    const verdict = await this.#judge(document, folders, target);
    if (verdict.kind === "fresh") {
      const failure = `started clean: ${verdict.reason}`;
      log.warn({ snapshot: key, backup }, failure);
      await restores.finish(restore, now(), { failure });
      this.#transition(key, "ready");
      return undefined;
    }
    const top = folders.at(-1);
    if (top !== undefined) dressUpperdir(upper.upperdir, top, upper.idMaps);
    reached("dressed", backup);
    const binding = {
      snapshotKey: key,
      snapshotCreated: info.createdAt,
      backup,
      layers,
      inPlace: [],
      boundAt: now(),
    };
    {
      using _ = await this.#announce(binding, document, target);
      await bindings.bind(binding);
    }
    reached("bound", backup);
    const { conflicts } = verdict;
    await restores.finish(restore, now(), conflicts === undefined ? {} : { conflicts });
    reached("restored", backup);
    this.#transition(key, "ready");
    const facts = { snapshot: key, backup, layers: layers.length };
    if (conflicts === undefined) log.info(facts, "backup restored");
    else
      log.warn(
        { ...facts, conflicts: conflicts.count, paths: conflicts.paths.slice(0, 20) },
        "backup restored on another image",
      );
    return binding;
  }

  /** Keeps the backup in the store. Rejects when it was removed while it was being unpacked. */
  async #announce(binding: Binding, { chain }: BackupDocument, { context }: Target): Promise<Disposable> {
    const { holder, hasBackup } = this.#options;
    const { backup } = binding;
    const announced = await within(context.signal, holder.announce(binding));
    // A store that cannot be asked now was asked for the document before.
    const isThere = await hasBackup(backup, chain.tenant, context.signal).catch(() => true);
    if (isThere) return announced;
    announced[Symbol.dispose]();
    holder.poke();
    throw errors.BACKUP_NOT_FOUND(`backup ${backup} was removed while it was being restored`, {
      details: { backup },
    });
  }

  async #judge(
    document: BackupDocument,
    layers: readonly string[],
    { key, info, upper, mounts, context }: Target,
  ): Promise<Verdict> {
    const { registry, pods, imageChange } = this.#options;
    const entry = registry?.bySnapshot(key);
    const labels = [entry?.labels ?? {}, pods.labelsOf(entry)];
    const { overlay } = upper;
    return await imageChange.judge({ key, info, mounts, backup: document, layers, overlay, labels }, context);
  }

  async #unpack(layers: readonly StoredLayer[], { overlay }: WritableLayer): Promise<readonly string[]> {
    return await Promise.all(layers.map((layer) => this.#options.layers.ensure(layer, overlay)));
  }

  /** The registry may not know the snapshot, or know it in another state; the restore does not depend on it. */
  #transition(key: SnapshotKey, state: ContainerState, failure?: string): void {
    const { registry, log } = this.#options;
    registry?.transition(key, state, failure).catch((error: unknown) => {
      log.debug({ snapshot: key, state, error: errorMessage(error) }, "container state not changed");
    });
  }
}

/** The error that containerd gets: nothing that it could take for an answer about the snapshot. */
export function restoreFailure(error: unknown, key: SnapshotKey): Error {
  if (isAeonError(error, "failed-precondition") || isAeonError(error, "unavailable")) return error;
  const cause = toAeonError(error, `restore into ${key}`);
  return errors.RESTORE_FAILED(
    `the backup requested for snapshot ${key} cannot be restored: ${cause.message}`,
    { cause },
  );
}
