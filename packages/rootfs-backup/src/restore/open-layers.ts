import { join } from "node:path";
import { snapshotBackend, type PluginContext } from "@aeon/core";
import type { BackupConfig } from "../config.ts";
import type { BackupStore } from "../store/backup-store.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";
import { ErofsImages, ErofsLayers } from "./erofs-layers.ts";
import { fillFrom } from "./fill-folder.ts";
import { LayerCache } from "./layer-cache.ts";
import { PreferredLayers } from "./preferred-layers.ts";
import type { RestoredLayers } from "./restored-layers.ts";
import { Room } from "./room.ts";
import { SnapshotLayers } from "./snapshot-layers.ts";

export interface OpenLayersOptions {
  readonly context: PluginContext<BackupConfig>;
  readonly store: BackupStore;
  readonly worker: ArchiveWorker;
}

/** Opens the restored layers of this node in the form that the configuration asks for. */
export async function openLayers({ context, store, worker }: OpenLayersOptions): Promise<RestoredLayers> {
  const { root, log, config } = context;
  const fill = fillFrom(store, worker);
  const parts = { worker, room: new Room(), log };
  const backend = context.find(snapshotBackend);
  const cache = await LayerCache.open({ ...parts, fill, path: join(root, "layers") });
  const snapshots = backend && new SnapshotLayers({ ...parts, fill, backend });
  const extracted = new PreferredLayers({ snapshots, cache, log });
  if (backend === undefined || config["restore-form"] === "extracted") return extracted;
  const images = await ErofsImages.open({
    path: join(root, "images"),
    fill,
    worker,
    program: config["mkfs-erofs"],
  });
  const points = new SnapshotLayers({
    ...parts,
    fill: images.fill,
    backend,
    form: ".erofs",
    onRemove: (name, folder) => images.remove(name, folder),
  });
  return new ErofsLayers({ images, snapshots: points, extracted, log });
}
