import { randomBytes } from "node:crypto";
import { rename, mkdir, readFile, readdir, rm, statfs } from "node:fs/promises";
import { basename, join } from "node:path";
import { errnoOf, errorMessage, linux, type Logger } from "@aeon/core";
import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";
import { exists } from "../capture/staging.ts";
import { errors } from "../errors.ts";
import { syncFolder } from "../objects/posix/durable-files.ts";
import type { StoredLayer } from "../store/backup-document.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";
import type { FillFolder } from "./fill-folder.ts";
import { layerName } from "./layer-name.ts";
import { mountedImages } from "./mounted-images.ts";
import type { RestoredLayers } from "./restored-layers.ts";
import type { SnapshotLayers } from "./snapshot-layers.ts";

export interface ErofsImagesOptions {
  /** Folder of the images. */
  readonly path: string;
  /** Unpacks a layer, of which the image is made. */
  readonly fill: FillFolder;
  readonly worker: ArchiveWorker;
  /** mkfs.erofs, by path or by name. */
  readonly program: string;
}

const temporaryPrefix = "tmp-";
/** linux/magic.h */
const erofsMagic = 0xe0f5e1e2;

/**
 * The layer's root inside of its image, so that an overlay on it cannot be mounted while the image is not: an empty
 * mount point would pass for a layer.
 */
const rootName = "fs";

/** Keeps layers as read-only EROFS images: one file each, mounted in milliseconds after a reboot. */
export class ErofsImages {
  readonly #options: ErofsImagesOptions;

  private constructor(options: ErofsImagesOptions) {
    this.#options = options;
  }

  static async open(options: ErofsImagesOptions): Promise<ErofsImages> {
    await mkdir(options.path, { recursive: true, mode: 0o700 });
    for (const name of await readdir(options.path))
      if (name.startsWith(temporaryPrefix)) await rm(join(options.path, name));
    // What a killed process left mounted is used again, unless its image is gone.
    for (const { image, target } of await mountedImages(options.path))
      if (!(await exists(image))) await linux.unmount(target);
    return new ErofsImages(options);
  }

  /** Makes the image of a layer and leaves the folder, which becomes its mount point, empty. Throws `EROFS_UNUSABLE`. */
  readonly fill: FillFolder = async ({ layer, overlay, target }, signal) => {
    const { path, fill, worker, program } = this.#options;
    const image = this.#imageOf(layer, overlay);
    if (await exists(image)) return;
    await assertKernel();
    const unpacked = join(target, rootName);
    const temporary = join(path, `${temporaryPrefix}${basename(image)}-${randomBytes(6).toString("hex")}`);
    try {
      await fill({ layer, overlay, target: unpacked }, signal);
      await worker.image({ source: target, target: temporary, program }, signal);
      await rename(temporary, image);
      await syncFolder(path);
    } finally {
      await rm(temporary, { force: true });
      if (!signal.aborted) await worker.remove(unpacked, signal);
    }
  };

  /** Mounts the image of a layer unless it is mounted, and gives the layer's root. */
  async mount(folder: string, layer: StoredLayer, overlay: OverlayNamespace): Promise<string> {
    if (!(await isMounted(folder))) {
      const source = this.#imageOf(layer, overlay);
      const flags = linux.mountFlags.readOnly;
      try {
        await linux.mount({ source, target: folder, type: "erofs", flags, data: "" });
      } catch (error) {
        throw errors.EROFS_UNUSABLE(`cannot mount ${source}: ${errorMessage(error)}`, { cause: error });
      }
    }
    return join(folder, rootName);
  }

  /** Unmounts and deletes the image of a layer. Containers that run on it go on. */
  async remove(name: string, folder: string | undefined): Promise<void> {
    if (folder !== undefined && (await isMounted(folder))) await linux.unmount(folder);
    await rm(join(this.#options.path, name), { force: true });
  }

  /**
   * Unmounts all images; they stay on disk. Containers that run on them go on, since an overlay holds what it was
   * mounted on. One that is only about to start is refused by the kernel, as it names a folder inside of the image.
   */
  async unmountAll(): Promise<void> {
    for (const { target } of await mountedImages(this.#options.path)) await linux.unmount(target);
  }

  #imageOf(layer: StoredLayer, overlay: OverlayNamespace): string {
    return join(this.#options.path, `${layerName(layer, overlay)}.erofs`);
  }
}

export interface ErofsLayersOptions {
  readonly images: ErofsImages;
  /** Made with the images' own `fill` and `remove`. */
  readonly snapshots: SnapshotLayers;
  /** Used for what cannot be an image. */
  readonly extracted: RestoredLayers;
  readonly log: Logger;
}

/** Restored layers as mounted images where kernel, tool and layer allow, and unpacked elsewhere. */
export class ErofsLayers implements RestoredLayers {
  readonly #options: ErofsLayersOptions;
  readonly #mounting = new Map<string, Promise<string>>();

  constructor(options: ErofsLayersOptions) {
    this.#options = options;
  }

  async ensure(layer: StoredLayer, overlay: OverlayNamespace): Promise<string> {
    const name = layerName(layer, overlay);
    const running = this.#mounting.get(name);
    if (running !== undefined) return running;
    const work = this.#ensure(layer, overlay).finally(() => this.#mounting.delete(name));
    this.#mounting.set(name, work);
    return work;
  }

  async sweep(inUse: () => ReadonlySet<string>, graceMs: number): Promise<readonly string[]> {
    const { snapshots, extracted } = this.#options;
    return [...(await snapshots.sweep(inUse, graceMs)), ...(await extracted.sweep(inUse, graceMs))];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { snapshots, extracted, images } = this.#options;
    await snapshots[Symbol.asyncDispose]();
    await extracted[Symbol.asyncDispose]();
    await Promise.allSettled(this.#mounting.values());
    await images.unmountAll();
  }

  async #ensure(layer: StoredLayer, overlay: OverlayNamespace): Promise<string> {
    const { images, snapshots, extracted, log } = this.#options;
    try {
      return await images.mount(await snapshots.ensure(layer, overlay), layer, overlay);
    } catch (error) {
      if (!(error instanceof Error && "reason" in error && error.reason === "EROFS_UNUSABLE")) throw error;
      log.warn(
        { layer: layer.digest, error: errorMessage(error) },
        "layer is unpacked, it cannot be an image",
      );
      return await extracted.ensure(layer, overlay);
    }
  }
}

const isMounted = async (folder: string): Promise<boolean> => (await statfs(folder)).type === erofsMagic;

async function assertKernel(): Promise<void> {
  const known = await readFile("/proc/filesystems", "utf8").catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return "";
    throw error;
  });
  if (!/^\s*(?:nodev)?\s*erofs$/m.test(known)) throw errors.EROFS_UNUSABLE("the kernel has no EROFS");
}
