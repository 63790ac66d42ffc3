import { closeSync, constants, fsyncSync, mkdirSync, openSync } from "node:fs";
import { linux } from "@aeon/core";
import { errors } from "../errors.ts";
import { ByteReader } from "./byte-reader.ts";
import { extractLayer } from "./extract.ts";
import { readFrames } from "./frame-reader.ts";
import { FrameWriter, type WrittenBlob } from "./frame-writer.ts";
import type { IdMaps } from "./id-map.ts";
import type { OverlayNamespace } from "./overlay-xattrs.ts";
import { packLayer } from "./pack.ts";
import type { PackReport } from "./report.ts";
import { TarReader } from "./tar-reader.ts";

/** A layer as stored: enough to verify every byte and every entry of it. */
export interface LayerBlob extends WrittenBlob {
  /** Entries of the archive, markers included. */
  readonly entries: number;
}

export interface PackRequest {
  /** The upper directory. */
  readonly source: string;
  /** The file to write; must not exist. */
  readonly target: string;
  readonly overlay: OverlayNamespace;
  readonly idMaps?: IdMaps | undefined;
  /** zstd level, 1…19. */
  readonly level: number;
}

export interface PackResult {
  readonly layer: LayerBlob;
  readonly report: PackReport;
}

/** Packs an upper directory into a new file and flushes it to disk. */
export async function packFile({ source, target, overlay, idMaps, level }: PackRequest): Promise<PackResult> {
  const fd = openSync(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    const writer = new FrameWriter(fd, { level, parallel: 2 });
    const report = await packLayer(source, writer, { overlay, idMaps });
    const entries = Object.values(report.counts).reduce((sum, count) => sum + count, 0);
    return { layer: { ...(await writer.finish()), entries }, report };
  } finally {
    closeSync(fd);
  }
}

export interface UnpackRequest {
  /** The file that holds the blob. */
  readonly source: string;
  readonly layer: LayerBlob;
  /** The folder to make and fill; must not exist. */
  readonly target: string;
  readonly overlay: OverlayNamespace;
}

/**
 * Unpacks a blob as a lower layer into a new folder and flushes it to disk. When this resolves, every digest and
 * count was right; when it rejects, the folder must be removed. Throws the errors of extractLayer and readFrames.
 */
export async function unpackFile({ source, layer, target, overlay }: UnpackRequest): Promise<void> {
  mkdirSync(target, { mode: 0o700 });
  const fd = openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const bytes = new ByteReader(readFrames(fd, layer));
    const entries = await extractLayer(new TarReader(bytes), target, { overlay, mostEntries: layer.entries });
    if (entries !== layer.entries)
      throw errors.ARCHIVE_CORRUPT(`archive holds ${entries} entries, expected ${layer.entries}`);
  } finally {
    closeSync(fd);
  }
  await flush(target);
}

async function flush(folder: string): Promise<void> {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await linux.syncFileSystem(fd);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
