import { hash } from "node:crypto";
import { closeSync, constants, fsyncSync, mkdirSync, openSync, readdirSync, writeSync } from "node:fs";
import { errnoOf } from "@aeon/core";
import { errors } from "../errors.ts";
import { encryptedType, layerFiles, layerMediaTypes, type BlobDescriptor } from "./blob-descriptor.ts";
import {
  newLayerKey,
  partKey,
  type EncryptionKey,
  type LayerCipher,
  type LayerPart,
} from "./encryption-key.ts";
import { extractLayer } from "./extract.ts";
import { FolderFlush } from "./folder-flush.ts";
import { readFrames } from "./frame-reader.ts";
import { layerFormats, SealedFrames } from "./frame-format.ts";
import { FrameIndexWriter } from "./frame-index.ts";
import { FrameWriter, type WrittenBlob } from "./frame-writer.ts";
import type { OverlayNamespace } from "./overlay-xattrs.ts";
import { packLayer, type PackOptions } from "./pack.ts";
import type { PackReport } from "./report.ts";
import { TocWriter } from "./toc-writer.ts";

/** What it takes to verify every byte and every entry of a layer. */
export interface VerifiableLayer extends WrittenBlob {
  /** Entries of the archive, markers included. */
  readonly entries: number;
  /** Absent: not encrypted. Digests and sizes of stored bytes are those of the encrypted ones. */
  readonly cipher?: LayerCipher | undefined;
}

/** A layer as stored, with the blobs that tell what is in it. */
export interface LayerBlob extends VerifiableLayer {
  /** Where its frames are. */
  readonly index: BlobDescriptor;
  /** Its table of contents. */
  readonly toc: BlobDescriptor;
}

export interface PackRequest extends PackOptions {
  /** The upper directory. */
  readonly source: string;
  /** The layer's file; it and those beside it (layerFiles) must not exist. */
  readonly target: string;
  /** zstd level, 1…19. */
  readonly level: number;
  /** Encrypts the layer and what is beside it with a new key, which this one wraps. */
  readonly key?: EncryptionKey | undefined;
}

export interface PackResult {
  readonly layer: LayerBlob;
  readonly report: PackReport;
}

/** Frames at work at a time: one is written while the others are compressed, as many as libuv's pool has threads. */
const parallel = 4;

/** Milliseconds between two reports of progress. */
const progressMs = 200;

/**
 * Packs an upper directory into new files (see layerFiles) and flushes them to disk. `onProgress` is told the bytes
 * of the archive so far.
 */
export async function packFile(
  request: PackRequest,
  onProgress?: (bytes: number) => void,
): Promise<PackResult> {
  const { source, target, level, key } = request;
  const files = layerFiles(target);
  using layerFile = newFile(files.layer);
  using tocFile = newFile(files.toc);
  const frames = new FrameIndexWriter();
  const sealed = key && sealedParts(key);
  await using layer = new FrameWriter(layerFile.fd, { level, parallel, index: frames, seal: sealed?.layer });
  await using toc = new TocWriter(tocFile.fd, level, sealed?.toc);
  const timer = onProgress && setInterval(() => onProgress(layer.rawSize), progressMs);
  const report = await packLayer(source, { layer, toc }, request).finally(() => clearInterval(timer));
  const entries = Object.values(report.counts).reduce((sum, count) => sum + count, 0);
  const written = await layer.finish();
  const { digest, size } = await toc.finish();
  const typeOf = (part: "index" | "toc") =>
    sealed === undefined ? layerMediaTypes[part] : encryptedType(layerMediaTypes[part]);
  return {
    layer: {
      ...written,
      entries,
      index: { mediaType: typeOf("index"), ...writeFile(files.index, frames.encode(sealed?.index)) },
      toc: { mediaType: typeOf("toc"), digest, size },
      ...(sealed !== undefined && { cipher: sealed.cipher }),
    },
    report,
  };
}

/** Each blob is encrypted with a key of its own, which comes from the layer's. */
function sealedParts(wrapping: EncryptionKey) {
  const { key, cipher } = newLayerKey(wrapping);
  const seal = (part: LayerPart) => new SealedFrames(partKey(key, part));
  return { layer: seal("layer"), index: seal("index"), toc: seal("toc"), cipher };
}

function writeFile(path: string, bytes: Buffer): Pick<BlobDescriptor, "digest" | "size"> {
  using file = newFile(path);
  for (let written = 0; written < bytes.length;) written += writeSync(file.fd, bytes, written);
  fsyncSync(file.fd);
  return { digest: `sha256:${hash("sha256", bytes)}`, size: bytes.length };
}

function newFile(path: string): Disposable & { readonly fd: number } {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

export interface UnpackRequest {
  /** The file that holds the blob. */
  readonly source: string;
  readonly layer: VerifiableLayer;
  /** The folder to fill; is made unless it is there and empty. */
  readonly target: string;
  readonly overlay: OverlayNamespace;
  /** To find the one that an encrypted layer needs. */
  readonly keys?: readonly EncryptionKey[] | undefined;
}

/**
 * Unpacks a blob as a lower layer into a new folder and flushes it to disk. When this resolves, every digest and
 * count was right; when it rejects, the folder must be removed. Throws the errors of extractLayer and readFrames.
 */
export async function unpackFile(request: UnpackRequest): Promise<void> {
  const { source, layer, target, overlay, keys } = request;
  const formats = layerFormats(layer.cipher, keys);
  makeEmpty(target);
  await using flush = new FolderFlush(target);
  const fd = openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const frames = readFrames(fd, layer, formats.layer, { reuse: true });
    const entries = await extractLayer(flush.pass(frames), target, { overlay, mostEntries: layer.entries });
    if (entries !== layer.entries)
      throw errors.ARCHIVE_CORRUPT(`archive holds ${entries} entries, expected ${layer.entries}`);
  } finally {
    closeSync(fd);
  }
  await flush.finish();
}

function makeEmpty(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST" || readdirSync(folder).length > 0) throw error;
  }
}
