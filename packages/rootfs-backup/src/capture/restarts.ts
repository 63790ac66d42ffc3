import { existsSync } from "node:fs";
import type {
  BackupId,
  ContainerEntry,
  ContainerRegistry,
  HookContext,
  SnapshotInfo,
  SnapshotKey,
} from "@aeon/core";
import { errors } from "../errors.ts";
import type { BackupRecord } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { Binding, BindingRecords } from "../records/binding-records.ts";
import { boundTo, findLayer, isEmptyFolder, statSnapshot } from "./find-layer.ts";
import { keyLabel } from "./labels.ts";
import type { Pods } from "./pods.ts";
import { mustKeep, onRestartOf, type DefaultPolicy, type OnRestart } from "./policy.ts";
import { containerKey } from "./snapshot-key.ts";
import type { Settler } from "./settler.ts";
import type { Staging } from "./staging.ts";
import { mayWrite, type Tasks } from "./tasks.ts";
import type { WritableLayer } from "./writable-layer.ts";

export interface RestartsOptions {
  readonly policy: DefaultPolicy;
  readonly onRestart: OnRestart;
  readonly registry: ContainerRegistry | undefined;
  readonly backups: BackupRecords;
  readonly bindings: BindingRecords;
  readonly pods: Pods;
  readonly staging: Staging;
  readonly settler: Settler;
  /** Absent where no containerd is known; then only the registry tells who has ended. */
  readonly tasks: Tasks | undefined;
}

type Context = Pick<HookContext, "backend" | "caller" | "signal">;

/**
 * What a container gets of the one it replaces: its layers where they lie, or, where they cannot be used so, its
 * backup; `clean` when it has to start without.
 */
export type Inheritance =
  | ({ readonly kind: "in-place" } & Pick<Binding, "backup" | "layers" | "inPlace">)
  | { readonly kind: "backup"; readonly backup: BackupId }
  | { readonly kind: "clean" };

/** Layers used where they lie; a container that was restarted more often gets them packed. */
const mostInPlace = 8;
/** Milliseconds between the reply to Mounts and the mount itself, at most: containerd's own limit on a start. */
const startLimitMs = 120_000;

/**
 * Finds what a container left that was replaced in its pod. Such a container never runs again, so its writable
 * layer is final, and lies under its successor's without being copied.
 */
export class Restarts {
  readonly #options: RestartsOptions;
  /** Backups whose files are about to leave this host. */
  readonly #leaving = new Set<BackupId>();
  /** What containers are about to be bound to, by their snapshots. */
  readonly #claims = new Map<SnapshotKey, readonly BackupId[]>();
  /** When the mounts of a container were last handed out, by its snapshot. */
  readonly #handedOut = new Map<SnapshotKey, number>();
  /** Backups whose files are being moved. */
  readonly #moving = new Map<BackupId, Promise<unknown>>();

  constructor(options: RestartsOptions) {
    this.#options = options;
  }

  /** A container of a pod, or of a named workload, whose task is about to start; undefined for all others. */
  async starting(key: SnapshotKey, { caller, signal }: Context): Promise<ContainerEntry | undefined> {
    const { policy, registry } = this.#options;
    // While a container is being made its calls carry a lease, and nobody knows yet whose it is.
    if (policy === "none" || registry === undefined || caller.lease !== undefined) return undefined;
    if (containerKey(key) === undefined) return undefined;
    const known = registry.bySnapshot(key);
    const entry = known?.containerId === undefined ? await registry.learn(key, signal) : known;
    if (entry === undefined || entry.sandbox) return undefined;
    return entry.pod !== undefined || entry.labels[keyLabel] !== undefined ? entry : undefined;
  }

  /**
   * What the container gets; undefined when it replaces none that left files. Rejects with
   * `PREDECESSOR_RUNNING` while the one it replaces has not ended.
   */
  async inherit(
    entry: ContainerEntry,
    info: SnapshotInfo,
    upper: WritableLayer,
    context: Context,
  ): Promise<Inheritance | undefined> {
    const { policy, onRestart, pods } = this.#options;
    const earlier = await this.#earlier(entry, info, context);
    if (earlier.length === 0) return undefined;
    const podLabels = pods.labelsOf(entry);
    if (!mustKeep({ policy, entry, snapshotLabels: info.labels, podLabels })) return undefined;
    if (onRestartOf(entry.labels, podLabels, onRestart) === "fresh") return { kind: "clean" };
    for (const each of earlier) {
      const left = each.record ? this.#ofRecord(each.record) : await this.#ofSnapshot(each, context);
      if (left === undefined) continue;
      const usable = this.#usable(left, info, upper);
      if (usable.kind === "in-place") this.#claims.set(entry.snapshotKey, usable.inPlace);
      return usable;
    }
    return undefined;
  }

  /** The folder of a backup whose files are used where they lie. Rejects with `RESTORE_FAILED` when it is gone. */
  folder(id: BackupId): string {
    const { backups, staging } = this.#options;
    const record = backups.get(id);
    const folder = record && folderOf(record, staging);
    if (folder === undefined)
      throw errors.RESTORE_FAILED(`the files of backup ${id} are no longer on this host`, {
        details: { backup: id },
      });
    return folder;
  }

  /**
   * The folders that a container about to be mounted stands on; until it is, they stay where they are. Rejects with
   * `RESTORE_FAILED` when one is gone.
   */
  async handOut(key: SnapshotKey, inPlace: readonly BackupId[]): Promise<readonly string[]> {
    const moves = () => inPlace.flatMap((id) => this.#moving.get(id) ?? []);
    while (moves().length > 0) await Promise.allSettled(moves());
    // Nothing may come between the look at the folders and the note that keeps them there.
    const folders = inPlace.map((id) => this.folder(id));
    this.#claims.delete(key);
    this.#handedOut.set(key, performance.now());
    return folders;
  }

  /** Runs `move`, which gives the files of the backup another place, while nobody gets to know the old one. */
  async whileUnseen<T>(record: BackupRecord, move: () => Promise<T>): Promise<T> {
    this.#assertNotStarting(record);
    const moving = move();
    this.#moving.set(record.id, moving);
    try {
      return await moving;
    } finally {
      this.#moving.delete(record.id);
    }
  }

  /** Throws `CAPTURE_DEFERRED` while a container that stands on the layer has its path but not its mount yet. */
  #assertNotStarting({ id, snapshotKey: key }: BackupRecord): void {
    const { bindings, registry } = this.#options;
    for (const [heir, at] of this.#handedOut) {
      const state = registry?.bySnapshot(heir)?.state;
      if (performance.now() - at > startLimitMs || state !== "preparing") this.#handedOut.delete(heir);
      else if (bindings.get(heir)?.inPlace.includes(id) === true)
        throw errors.CAPTURE_DEFERRED(`snapshot ${key} is under a container that is being started`);
    }
  }

  /** True, and nobody builds on them any more, when the files of a stored backup may leave this host. */
  mayGo(id: BackupId): boolean {
    if (this.isNeeded(id)) return false;
    this.#leaving.add(id);
    return true;
  }

  /** True while a container stands on the files of the backup where they lie, or is about to. */
  isNeeded(id: BackupId): boolean {
    for (const claimed of this.#claims.values()) if (claimed.includes(id)) return true;
    return this.#options.bindings.standsOn(id);
  }

  /** Says that a snapshot has gone. */
  left(key: SnapshotKey): void {
    this.#claims.delete(key);
    this.#handedOut.delete(key);
  }

  /** Earlier containers of the same name in the pod, the latest first. */
  async #earlier(
    { pod, snapshotKey }: ContainerEntry,
    { createdAt }: SnapshotInfo,
    context: Context,
  ): Promise<readonly Earlier[]> {
    const { registry, backups } = this.#options;
    if (pod === undefined) return [];
    const isSame = (other: { uid: string; container: string } | undefined): boolean =>
      other?.uid === pod.uid && other.container === pod.container;
    const found = new Map<SnapshotKey, Earlier>();
    for (const record of backups.ofPod(pod.uid))
      if (isSame(record.identity.pod))
        found.set(record.snapshotKey, { key: record.snapshotKey, created: record.snapshotCreated, record });
    for (const entry of registry?.ofPod(pod.uid) ?? []) {
      const { snapshotKey: key } = entry;
      if (key === snapshotKey || found.has(key) || entry.sandbox || !isSame(entry.pod)) continue;
      const info = await statSnapshot(key, context);
      if (info?.kind === "active") found.set(key, { key, created: info.createdAt, entry, info });
    }
    return [...found.values()]
      .filter(({ created }) => created < createdAt)
      .toSorted((a, b) => (a.created < b.created ? 1 : -1));
  }

  #ofRecord(record: BackupRecord): Left {
    return { record, backup: record.id, ...this.#inPlace(record) };
  }

  /** The chain of a backup with its own layer where it lies; undefined when it is no longer on this host. */
  #inPlace(record: BackupRecord): Pick<Binding, "layers" | "inPlace"> | undefined {
    const { backups, staging } = this.#options;
    const { id, parent } = record;
    if (this.#leaving.has(id) || folderOf(record, staging) === undefined) return undefined;
    if (parent === undefined) return { layers: [], inPlace: [id] };
    if (parent.layers !== undefined) return { layers: parent.layers, inPlace: [id] };
    const below = backups.get(parent.id);
    const chain = below && (this.#inPlace(below) ?? (below.layers && { layers: below.layers, inPlace: [] }));
    return chain && { layers: chain.layers, inPlace: [...chain.inPlace, id] };
  }

  async #ofSnapshot({ key, entry, info }: Earlier, context: Context): Promise<Left | undefined> {
    const { pods, bindings, settler } = this.#options;
    const parts = containerKey(key);
    if (parts === undefined || entry === undefined || info === undefined) return undefined;
    await this.#assertEnded(entry, context.signal);
    const layer = await findLayer(key, context);
    const binding = boundTo(bindings.get(key), info);
    if (layer === undefined || isEmptyFolder(layer.upperdir))
      return binding && { parent: info.parent, ...binding };
    const how = {
      trigger: entry.outOfMemory === true ? "oom" : "restart",
      consistency: "exact",
      final: true,
    } as const;
    const found = { key, parts, info, layer, entry: pods.named(entry), binding };
    const record = await settler.settle(found, how);
    return record && this.#ofRecord(record);
  }

  async #assertEnded(
    { exit, namespace, containerId: id }: ContainerEntry,
    signal: AbortSignal,
  ): Promise<void> {
    if (exit !== undefined || id === undefined) return;
    if (!mayWrite(await this.#options.tasks?.state(namespace, id, signal))) return;
    throw errors.PREDECESSOR_RUNNING(
      `container ${id} in ${namespace} has not ended, and its files may change`,
      {
        details: { namespace, containerId: id },
      },
    );
  }

  /** Layers of other forms, of other images, or too many of them have to be packed and unpacked. */
  #usable(left: Left, info: SnapshotInfo, upper: WritableLayer): Inheritance {
    const { backup, layers, inPlace, record } = left;
    const parent = record === undefined ? left.parent : record.snapshotParent;
    const isMapped = upper.idMaps !== undefined || record?.idMaps !== undefined;
    const isSame = parent === info.parent && (record === undefined || record.overlay === upper.overlay);
    if (layers === undefined || inPlace === undefined || isMapped || !isSame || inPlace.length > mostInPlace)
      return { kind: "backup", backup };
    return { kind: "in-place", backup, layers, inPlace };
  }
}

/** A container of the same name that was in the pod before. */
interface Earlier {
  readonly key: SnapshotKey;
  readonly created: bigint;
  /** What it ended as, once written down. */
  readonly record?: BackupRecord;
  readonly entry?: ContainerEntry;
  readonly info?: SnapshotInfo;
}

/** What a container left: its backup, and its layers where they can be used as they are. */
interface Left {
  readonly backup: BackupId;
  readonly record?: BackupRecord;
  readonly parent?: SnapshotKey | undefined;
  readonly layers?: Binding["layers"];
  readonly inPlace?: Binding["inPlace"];
}

/** Where a layer is now; undefined when this host no longer has it. */
function folderOf({ id, place, upperdir, discarded }: BackupRecord, staging: Staging): string | undefined {
  const staged = staging.layer(id);
  if (existsSync(staged)) return place === "staging" && discarded ? undefined : staged;
  return existsSync(upperdir) ? upperdir : undefined;
}
