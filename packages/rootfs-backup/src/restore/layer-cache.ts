import { randomBytes } from "node:crypto";
import { renameSync, statSync } from "node:fs";
import { mkdir, readdir, rename, utimes } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, Lifetime, type Logger } from "@aeon/core";
import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";
import { reached } from "../capture/steps.ts";
import { exists } from "../capture/staging.ts";
import type { StoredLayer } from "../store/backup-document.ts";
import { syncFolder } from "../objects/posix/durable-files.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";
import type { FillFolder } from "./fill-folder.ts";
import { idInName, layerName } from "./layer-name.ts";
import type { RestoredLayers } from "./restored-layers.ts";
import type { Room } from "./room.ts";

export interface LayerCacheOptions {
  /** The cache's folder; on the file system of the snapshots or any other that overlayfs takes as lower. */
  readonly path: string;
  readonly fill: FillFolder;
  readonly room: Room;
  /** Deletes folders. */
  readonly worker: ArchiveWorker;
  readonly log: Logger;
}

const temporaryPrefix = "tmp-";

/**
 * Unpacked layers, each once per tenant, as `<id>/fs` (`<id>.user/fs` for mounts with `userxattr`). A folder of that name
 * is complete, verified, on disk, and never changes.
 */
export class LayerCache implements RestoredLayers {
  readonly #options: LayerCacheOptions;
  readonly #life = new Lifetime();
  readonly #running = new Map<string, Promise<string>>();

  private constructor(options: LayerCacheOptions) {
    this.#options = options;
    this.#life.defer(async () => {
      await Promise.allSettled(this.#running.values());
    });
  }

  static async open(options: LayerCacheOptions): Promise<LayerCache> {
    await mkdir(options.path, { recursive: true, mode: 0o700 });
    return new LayerCache(options);
  }

  async ensure(layer: StoredLayer, overlay: OverlayNamespace): Promise<string> {
    const name = layerName(layer, overlay);
    return this.#running.get(name) ?? this.#start({ name, layer, overlay });
  }

  async sweep(inUse: () => ReadonlySet<string>, graceMs: number): Promise<readonly string[]> {
    const { path, worker, log } = this.#options;
    const removed: string[] = [];
    for (const name of await readdir(path)) {
      const doomed = this.#doom(name, inUse(), Date.now() - graceMs);
      if (doomed === undefined) continue;
      await worker.remove(join(path, doomed), this.#life.signal);
      removed.push(name);
    }
    if (removed.length > 0) log.info({ removed: removed.length }, "unused layers removed");
    return removed;
  }

  /**
   * Takes an unused folder out of sight, so that a half-deleted layer is never found; undefined when it stays.
   * Deciding and renaming must not be parted by other work, hence no waiting here.
   */
  #doom(name: string, inUse: ReadonlySet<string>, usedBefore: number): string | undefined {
    const { path } = this.#options;
    if (this.#isBusy(name)) return undefined;
    if (name.startsWith(temporaryPrefix)) return name;
    const folder = join(path, name);
    if (inUse.has(idInName(name)) || statSync(folder).mtimeMs > usedBefore) return undefined;
    const doomed = `${temporaryPrefix}${name}-${randomBytes(6).toString("hex")}`;
    renameSync(folder, join(path, doomed));
    return doomed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  #isBusy(name: string): boolean {
    for (const running of this.#running.keys()) if (name.includes(running)) return true;
    return false;
  }

  #start(wanted: Wanted): Promise<string> {
    const work = this.#ensure(wanted).finally(() => this.#running.delete(wanted.name));
    this.#running.set(wanted.name, work);
    return work;
  }

  async #ensure(wanted: Wanted): Promise<string> {
    const folder = join(this.#options.path, wanted.name);
    if (await exists(folder)) {
      const now = new Date();
      await utimes(folder, now, now);
    } else await this.#unpack(folder, wanted);
    return join(folder, "fs");
  }

  async #unpack(folder: string, { name, layer, overlay }: Wanted): Promise<void> {
    const { path, fill, room, worker } = this.#options;
    const { signal } = this.#life;
    const { digest } = layer;
    const temporary = join(path, `${temporaryPrefix}${name}-${randomBytes(6).toString("hex")}`);
    using _ = await room.take(path, layer);
    try {
      await mkdir(temporary, { mode: 0o700 });
      await fill({ layer, overlay, target: join(temporary, "fs") }, signal);
      reached("unpacked", digest);
      await syncFolder(temporary);
      await publishFolder(temporary, folder);
      await syncFolder(path);
      reached("layer-published", digest);
    } catch (error) {
      await worker.remove(temporary, signal).catch(() => {});
      throw error;
    }
  }
}

/** A layer in the form that mounts with or without `userxattr` read. */
interface Wanted {
  readonly name: string;
  readonly layer: StoredLayer;
  readonly overlay: OverlayNamespace;
}

/** Equal names mean equal content, so one that is there already will do. */
async function publishFolder(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== "EEXIST" && errno !== "ENOTEMPTY") throw error;
  }
}
