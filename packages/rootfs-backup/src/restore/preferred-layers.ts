import type { Logger } from "@aeon/core";
import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";
import type { StoredLayer } from "../store/backup-document.ts";
import type { LayerCache } from "./layer-cache.ts";
import type { RestoredLayers } from "./restored-layers.ts";
import type { SnapshotLayers } from "./snapshot-layers.ts";

export interface PreferredLayersOptions {
  /** Absent when there is no snapshotter to keep layers in. */
  readonly snapshots: SnapshotLayers | undefined;
  readonly cache: LayerCache;
  readonly log: Logger;
}

/** Keeps layers as snapshots where the backend has plain folders, and in a folder of their own elsewhere. */
export class PreferredLayers implements RestoredLayers {
  readonly #options: PreferredLayersOptions;
  #choice: Promise<RestoredLayers> | undefined;

  constructor(options: PreferredLayersOptions) {
    this.#options = options;
  }

  async ensure(layer: StoredLayer, overlay: OverlayNamespace): Promise<string> {
    return await (await this.#chosen()).ensure(layer, overlay);
  }

  async sweep(inUse: () => ReadonlySet<string>, graceMs: number): Promise<readonly string[]> {
    const { snapshots, cache } = this.#options;
    return [...((await snapshots?.sweep(inUse, graceMs)) ?? []), ...(await cache.sweep(inUse, graceMs))];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { snapshots, cache } = this.#options;
    await snapshots?.[Symbol.asyncDispose]();
    await cache[Symbol.asyncDispose]();
  }

  /** Asked when first needed, since a remote backend may not be up before; only an answer is remembered. */
  #chosen(): Promise<RestoredLayers> {
    return (this.#choice ??= this.#choose().catch((error: unknown) => {
      this.#choice = undefined;
      throw error;
    }));
  }

  async #choose(): Promise<RestoredLayers> {
    const { snapshots, cache, log } = this.#options;
    if (snapshots !== undefined && (await snapshots.isSupported())) return snapshots;
    log.info({}, "snapshots are no plain folders, restored layers are kept in the plugin's own folder");
    return cache;
  }
}
