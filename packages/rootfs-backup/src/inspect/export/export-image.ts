import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { blobBytes, imageArchive } from "./image-archive.ts";
import { imageDocuments, type OwnLayer } from "./image-documents.ts";
import type { BaseImage } from "./image-layer.ts";
import { isRecoded, ownLayer, type ExportCompression, type ExportSource } from "./own-layers.ts";

export interface ExportProgress {
  readonly done: number;
  /** Grows once when the sizes of layers that are written anew are known. */
  readonly total: number;
}

export interface ExportRequest {
  /** Absent for a container that had no image. */
  readonly base: BaseImage | undefined;
  /** The backup's own layers, lowest first. */
  readonly layers: readonly ExportSource[];
  /** Full name of the image. */
  readonly reference: string;
  readonly compression: ExportCompression;
  /** Ended when all is written; destroyed on failure. */
  readonly output: Writable;
  /** Existing, empty folder for layers that are written anew; the caller removes it. */
  readonly spool: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: ExportProgress) => void;
}

/** What was written. */
export interface ExportedImage {
  readonly reference: string;
  /** Of the manifest. */
  readonly digest: string;
  readonly layers: number;
  /** Bytes of all blobs. */
  readonly size: number;
}

/** Writes a backup with the image below it as one image archive. Rejects when a blob does not verify. */
export async function exportImage(request: ExportRequest): Promise<ExportedImage> {
  const { base, layers, reference, compression, output, spool, signal, onProgress } = request;
  let done = 0;
  let total = layers
    .filter((source) => isRecoded(source, compression))
    .reduce((sum, { layer }) => sum + layer.rawSize, 0);
  const advance = (count: number): void => {
    done += count;
    onProgress?.({ done, total });
  };
  const own: OwnLayer[] = [];
  for (const source of layers)
    own.push(await ownLayer(source, { compression, spool, signal, onRecoded: advance }));
  const image = imageDocuments(base, own);
  const size = blobBytes(image);
  total += size;
  await pipeline(imageArchive(image, { reference, signal, onBytes: advance }), output, { signal });
  return { reference, digest: image.manifest.descriptor.digest, layers: image.layers.length, size };
}
