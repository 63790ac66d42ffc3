import { createReadStream, createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { DigestStream, mediaTypes, parseDigest, type Descriptor } from "@aeon/oci";
import { FrameWriter } from "../../archive/frame-writer.ts";
import type { StoredLayer } from "../../store/backup-document.ts";
import { hexOf } from "../../store/digest.ts";
import type { LayerOrigin, OwnLayer } from "./image-documents.ts";

/** How the layers of a backup are written into an image; `zstd` is how they are stored. */
export type ExportCompression = "zstd" | "gzip" | "none";

/** A layer of a backup that can be read from its store. */
export interface ExportSource {
  readonly layer: StoredLayer;
  readonly origin: LayerOrigin;
  /** Streams the blob as it is stored; absent for an encrypted one, which nobody else could read. */
  readonly stored?: (signal: AbortSignal) => AsyncIterable<Uint8Array>;
  /** Streams the uncompressed layer; throws at the end unless everything verified. */
  readonly raw: (signal: AbortSignal) => AsyncIterable<Buffer>;
}

export interface OwnLayerOptions {
  readonly compression: ExportCompression;
  /** Existing folder for layers that are written anew: their digest has to be known before they are sent. */
  readonly spool: string;
  readonly signal: AbortSignal;
  /** Told with the uncompressed bytes of layers that were written anew since the last time. */
  readonly onRecoded?: (count: number) => void;
}

/** A layer as it goes into the image. */
export async function ownLayer(source: ExportSource, options: OwnLayerOptions): Promise<OwnLayer> {
  const { layer, origin, stored, raw } = source;
  const diffId = parseDigest(layer.diffId);
  const { compression } = options;
  if (compression === "gzip") return recode(source, options, writeGzip);
  if (compression === "none") {
    const descriptor = { mediaType: mediaTypes.layer, digest: diffId, size: layer.rawSize };
    return { descriptor, diffId, origin, open: raw };
  }
  if (stored === undefined) return recode(source, options, writeZstd);
  const digest = parseDigest(layer.digest);
  const descriptor = { mediaType: mediaTypes.layerZstd, digest, size: layer.size };
  return { descriptor, diffId, origin, open: stored };
}

/** True when the layer has to be written to disk first. */
export const isRecoded = ({ stored }: ExportSource, compression: ExportCompression): boolean =>
  compression === "gzip" || (compression === "zstd" && stored === undefined);

type Encoder = (raw: AsyncIterable<Buffer>, file: string, signal: AbortSignal) => Promise<Descriptor>;

async function recode(
  { layer, origin, raw }: ExportSource,
  { spool, signal, onRecoded }: OwnLayerOptions,
  encode: Encoder,
): Promise<OwnLayer> {
  const file = join(spool, `layer-${hexOf(layer.diffId)}`);
  const descriptor = await encode(counted(raw(signal), onRecoded), file, signal);
  return { descriptor, diffId: parseDigest(layer.diffId), origin, open: () => createReadStream(file) };
}

async function* counted(
  chunks: AsyncIterable<Buffer>,
  onBytes: OwnLayerOptions["onRecoded"],
): AsyncGenerator<Buffer, void> {
  for await (const chunk of chunks) {
    yield chunk;
    onBytes?.(chunk.length);
  }
}

const writeGzip: Encoder = async (raw, file, signal) => {
  const digest = new DigestStream();
  await pipeline(raw, createGzip(), digest, createWriteStream(file), { signal });
  if (digest.digest === undefined) throw new Error("digest of an ended stream is unknown");
  return { mediaType: mediaTypes.layerGzip, digest: digest.digest, size: digest.size };
};

const writeZstd: Encoder = async (raw, file, signal) => {
  await using handle = await open(file, "w", 0o600);
  await using writer = new FrameWriter(handle.fd, { level: 3, parallel: 2 });
  for await (const chunk of raw) {
    signal.throwIfAborted();
    writer.write(chunk);
    await writer.drain();
  }
  const { digest, size } = await writer.finish();
  return { mediaType: mediaTypes.layerZstd, digest: parseDigest(digest), size };
};
