import { errorMessage, type Logger } from "@aeon/core";
import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";
import type { StoredLayer } from "../store/backup-document.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";
import type { RestoredLayers } from "./restored-layers.ts";

export interface SquasherOptions {
  readonly layers: RestoredLayers;
  readonly worker: ArchiveWorker;
  /** Layers that a chain may have. */
  readonly depth: number;
  readonly log: Logger;
}

/** A layer that is about to be packed, and the chain that it stands on. */
export interface Upper {
  readonly folder: string;
  readonly overlay: OverlayNamespace;
  /** The lowest first. */
  readonly below: readonly StoredLayer[];
}

/** How much larger than what is visible a chain may be. */
const mostWaste = 1.5;
/** Bytes of waste that are not worth packing anything twice. */
const littleWaste = 1024 * 1024;

/** Decides which backups get their whole chain as one layer, so that chains grow neither long nor much larger than what they show. */
export class Squasher {
  readonly #options: SquasherOptions;

  constructor(options: SquasherOptions) {
    this.#options = options;
  }

  /**
   * The unpacked layers to pack together with the upper one, the lowest first; none when it is packed alone, which
   * it is also when they cannot be had: a long chain is better than no backup.
   */
  async lowersOf(upper: Upper, signal: AbortSignal): Promise<readonly string[]> {
    const { layers, depth, log } = this.#options;
    const { overlay, below } = upper;
    const isDeep = below.length >= depth;
    if (below.length === 0 || (!isDeep && !mayBeWasteful(below))) return [];
    try {
      const lowers = await Promise.all(below.map((layer) => layers.ensure(layer, overlay)));
      signal.throwIfAborted();
      return isDeep || (await this.#isWasteful(upper, lowers, signal)) ? lowers : [];
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ layers: below.length, error: errorMessage(error) }, "chain cannot be made one layer yet");
      return [];
    }
  }

  async #isWasteful(
    { folder, overlay, below }: Upper,
    lowers: readonly string[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const visible = await this.#options.worker.weigh({ source: folder, overlay, lowers }, signal);
    return isWaste(total(below), visible);
  }
}

const total = (layers: readonly StoredLayer[]): number =>
  layers.reduce((sum, { rawSize }) => sum + rawSize, 0);

/** The largest layer alone is mostly visible, so only chains beyond it are worth a look at every file. */
const mayBeWasteful = (layers: readonly StoredLayer[]): boolean =>
  isWaste(total(layers), Math.max(...layers.map(({ rawSize }) => rawSize)));

const isWaste = (stored: number, visible: number): boolean =>
  stored > mostWaste * visible && stored - visible > littleWaste;
