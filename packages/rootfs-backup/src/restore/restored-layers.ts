import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";
import type { StoredLayer } from "../store/backup-document.ts";

/**
 * Layers of backups in a form that overlayfs takes as lower directories, each once per node and tenant. What can be seen is
 * complete, verified, on disk, and never changes.
 */
export interface RestoredLayers extends AsyncDisposable {
  /**
   * The folder of a layer, made if need be. The work goes on when the caller gives up, and the next caller joins
   * it. Rejects with what is wrong with the layer or the disk; nothing is left of it then.
   */
  ensure(layer: StoredLayer, overlay: OverlayNamespace): Promise<string>;
  /** `inUse` gives ids ({@link layerId}). Deletes what interrupted work left and layers that nobody uses or asked for within the grace; gives their names. */
  sweep(inUse: () => ReadonlySet<string>, graceMs: number): Promise<readonly string[]>;
}
