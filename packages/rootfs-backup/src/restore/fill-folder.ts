import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";
import type { BackupStore } from "../store/backup-store.ts";
import type { StoredLayer } from "../store/backup-document.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";

/** A layer and the folder that it goes into. */
export interface FillRequest {
  readonly layer: StoredLayer;
  readonly overlay: OverlayNamespace;
  /** Must not exist, or be empty. */
  readonly target: string;
}

/** Unpacks a layer of the store, verified, and flushes it to disk; the signal cuts it off. */
export type FillFolder = (request: FillRequest, signal: AbortSignal) => Promise<void>;

export const fillFrom =
  (store: BackupStore, worker: ArchiveWorker): FillFolder =>
  async ({ layer, overlay, target }, signal) => {
    await using file = await store.openLayer(layer, signal);
    const { digest, size, diffId, rawSize, entries, cipher } = layer;
    const verifiable = { digest, size, diffId, rawSize, entries, cipher };
    await worker.unpack({ source: file.path, target, overlay, layer: verifiable }, signal);
  };
