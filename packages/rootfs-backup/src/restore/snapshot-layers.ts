import { randomBytes } from "node:crypto";
import {
  errorMessage,
  isAeonError,
  Lifetime,
  ownSnapshotPrefix,
  snapshotKey,
  type CallContext,
  type Logger,
  type Mount,
  type SnapshotKey,
  type Snapshotter,
} from "@aeon/core";
import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";
import { reached } from "../capture/steps.ts";
import type { StoredLayer } from "../store/backup-document.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";
import type { FillFolder } from "./fill-folder.ts";
import { idInName, layerName } from "./layer-name.ts";
import type { RestoredLayers } from "./restored-layers.ts";
import type { Room } from "./room.ts";

export interface SnapshotLayersOptions {
  /** The snapshotter below all hooks. */
  readonly backend: Snapshotter;
  /** Unpacks a layer into an empty folder and flushes it to disk. */
  readonly fill: FillFolder;
  /** Deletes folders. */
  readonly worker: ArchiveWorker;
  readonly room: Room;
  readonly log: Logger;
  /** Ends the names of layers that are kept in another form than unpacked, so that both forms can be there. */
  readonly form?: string;
  /** Told of a layer and its folder, if it has one, before it is removed. */
  readonly onRemove?: (name: string, folder: string | undefined) => Promise<void>;
}

/** Milliseconds for one call of the backend; a commit may measure the layer first. */
const callLimitMs = 100_000;

/**
 * Restored layers as committed snapshots of the wrapped snapshotter itself, without a parent: their files lie among
 * those of all other snapshots, so that containerd can shorten the mount options of images with many layers. A
 * view on each tells where its files are and keeps the backend from removing it.
 */
export class SnapshotLayers implements RestoredLayers {
  readonly #options: SnapshotLayersOptions;
  readonly #life = new Lifetime();
  readonly #running = new Map<string, Promise<string>>();
  readonly #removing = new Map<string, Promise<void>>();
  /** When a layer was last asked for, milliseconds since the epoch; others were before this process. */
  readonly #usedAt = new Map<string, number>();
  readonly #startedAt = Date.now();

  constructor(options: SnapshotLayersOptions) {
    this.#options = options;
    this.#life.defer(async () => {
      await Promise.allSettled([...this.#running.values(), ...this.#removing.values()]);
    });
  }

  /** Whether the backend's snapshots are plain folders; others cannot be filled or used as lower directories. */
  async isSupported(): Promise<boolean> {
    const { backend } = this.#options;
    const key = temporaryKey("probe");
    const mounts = await backend.prepare({ key, labels: {} }, this.#call());
    // A sweep may have taken it for a leftover.
    await this.#drop(key);
    return folderOf(mounts, "rw") !== undefined;
  }

  ensure(layer: StoredLayer, overlay: OverlayNamespace): Promise<string> {
    const name = `${layerName(layer, overlay)}${this.#options.form ?? ""}`;
    this.#usedAt.set(name, Date.now());
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    const work = this.#ensure(name, layer, overlay).finally(() => this.#running.delete(name));
    this.#running.set(name, work);
    return work;
  }

  async sweep(inUse: () => ReadonlySet<string>, graceMs: number): Promise<readonly string[]> {
    const removed: string[] = [];
    for (const name of await this.#names()) {
      // Nothing may come between the decision and the mark that ensure waits for.
      if (this.#isWanted(name, inUse(), Date.now() - graceMs)) continue;
      const removal = this.#remove(name).finally(() => this.#removing.delete(name));
      this.#removing.set(name, removal);
      await removal;
      removed.push(name);
    }
    if (removed.length > 0) this.#options.log.info({ removed: removed.length }, "unused layers removed");
    return removed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  #call(): CallContext {
    const { signal } = this.#life;
    return { caller: {}, signal: AbortSignal.any([signal, AbortSignal.timeout(callLimitMs)]) };
  }

  /** The layers that are there, and the leftovers of interrupted work. */
  async #names(): Promise<ReadonlySet<string>> {
    const { backend, form } = this.#options;
    const names = new Set<string>();
    for await (const { name } of await backend.list({ filters: [] }, this.#call())) {
      if (!name.startsWith(ownSnapshotPrefix)) continue;
      const own = name.slice(ownSnapshotPrefix.length).replace(/\/view$/, "");
      if (formOf(own) === (form ?? "")) names.add(own);
    }
    return names;
  }

  #isWanted(name: string, inUse: ReadonlySet<string>, usedBefore: number): boolean {
    const isTemporary = name.includes("/");
    const layer = name.split("/", 1)[0] ?? name;
    if (this.#running.has(layer)) return true;
    if (isTemporary) return false;
    return inUse.has(idInName(layer)) || (this.#usedAt.get(layer) ?? this.#startedAt) > usedBefore;
  }

  /** The view first: it stands on the layer. */
  async #remove(name: string): Promise<void> {
    const { onRemove } = this.#options;
    if (!name.includes("/")) await onRemove?.(name, await this.#find(name));
    for (const key of [viewKey(name), layerKey(name)]) await this.#drop(key);
  }

  async #drop(key: SnapshotKey): Promise<void> {
    try {
      await this.#options.backend.remove({ key }, this.#call());
    } catch (error) {
      if (!isAeonError(error, "not-found")) throw error;
    }
  }

  async #ensure(name: string, layer: StoredLayer, overlay: OverlayNamespace): Promise<string> {
    await this.#removing.get(name);
    const found = await this.#find(name);
    if (found !== undefined) return found;
    await this.#make(name, layer, overlay);
    const made = await this.#find(name);
    if (made === undefined) throw new Error(`layer ${name} is gone right after it was made`);
    return made;
  }

  async #find(name: string): Promise<string | undefined> {
    const { backend } = this.#options;
    const key = viewKey(name);
    try {
      return requireFolder(await backend.mounts({ key }, this.#call()), key);
    } catch (error) {
      if (!isAeonError(error, "not-found")) throw error;
    }
    try {
      return requireFolder(
        await backend.view({ key, parent: layerKey(name), labels: {} }, this.#call()),
        key,
      );
    } catch (error) {
      if (!isAeonError(error, "not-found")) throw error;
      return undefined;
    }
  }

  /** The name appears by the commit, when everything is on disk; before that there is only a temporary snapshot. */
  async #make(name: string, layer: StoredLayer, overlay: OverlayNamespace): Promise<void> {
    const { backend, fill, room, log } = this.#options;
    const key = temporaryKey(name);
    let target: string | undefined;
    try {
      target = folderOf(await backend.prepare({ key, labels: {} }, this.#call()), "rw");
      if (target === undefined) throw new Error(`snapshot ${key} is not a plain folder`);
      using _ = await room.take(target, layer);
      await fill({ layer, overlay, target }, this.#life.signal);
      reached("unpacked", layer.digest);
      await backend.commit({ name: layerKey(name), key, labels: {} }, this.#call());
      reached("layer-published", layer.digest);
    } catch (error) {
      await this.#discard(key, target).catch((cause: unknown) =>
        log.warn({ snapshot: key, error: errorMessage(cause) }, "unfinished layer not removed yet"),
      );
      throw error;
    }
  }

  /** On a full disk the backend cannot even note the removal, until the files are gone. */
  async #discard(key: SnapshotKey, target: string | undefined): Promise<void> {
    try {
      await this.#drop(key);
    } catch (error) {
      if (target === undefined || this.#life.signal.aborted) throw error;
      await this.#options.worker.remove(target, this.#life.signal);
      await this.#drop(key);
    }
  }
}

/** `.erofs` for a layer, or a leftover, of that form. */
const formOf = (name: string): string => /^[0-9a-f]{64}(?:\.user)?(\.erofs)?(?:\/|$)/.exec(name)?.[1] ?? "";
const layerKey = (name: string): SnapshotKey => snapshotKey(`${ownSnapshotPrefix}${name}`);
const viewKey = (name: string): SnapshotKey => snapshotKey(`${ownSnapshotPrefix}${name}/view`);
const temporaryKey = (name: string): SnapshotKey =>
  snapshotKey(`${ownSnapshotPrefix}${name}/tmp-${randomBytes(6).toString("hex")}`);

/** The folder of a snapshot that is a plain bind mount, or of a view of one layer. */
function folderOf(mounts: readonly Mount[], access: "ro" | "rw"): string | undefined {
  const [mount] = mounts;
  if (mount === undefined || mounts.length > 1 || mount.target !== "") return undefined;
  const isWritable = !mount.options.includes("ro");
  return mount.type === "bind" && isWritable === (access === "rw") ? mount.source : undefined;
}

function requireFolder(mounts: readonly Mount[], key: SnapshotKey): string {
  const folder = folderOf(mounts, "ro");
  if (folder === undefined) throw new Error(`view ${key} is not a plain folder`);
  return folder;
}
