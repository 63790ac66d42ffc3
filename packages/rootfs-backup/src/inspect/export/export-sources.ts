import { open } from "node:fs/promises";
import type { EncryptionKey } from "../../archive/encryption-key.ts";
import { layerFormats } from "../../archive/frame-format.ts";
import { readFrames } from "../../archive/frame-reader.ts";
import type { BackupDocument, StoredLayer } from "../../store/backup-document.ts";
import type { BackupStore } from "../../store/backup-store.ts";
import { blobsOf } from "../find-backup.ts";
import { streamBlob } from "../read-blob.ts";
import type { BaseReference } from "./find-base.ts";
import type { ExportSource } from "./own-layers.ts";

export interface SourceOptions {
  /** To find those that encrypted layers need. */
  readonly keys?: readonly EncryptionKey[];
  readonly signal: AbortSignal;
}

/** The layers of a stored backup for an export, the lowest first. */
export function exportSources(
  store: BackupStore,
  document: BackupDocument,
  { keys = [], signal }: SourceOptions,
): readonly ExportSource[] {
  const read = blobsOf(store, document, signal);
  const createdAt = new Date(Number(BigInt(document.createdAt) / 1_000_000n));
  return document.layers.map((layer) => ({
    layer,
    origin: { createdAt, createdBy: `aeon backup ${layer.backup}` },
    ...(layer.cipher === undefined && {
      stored: (reading: AbortSignal) => streamBlob(read, layer, reading),
    }),
    raw: (reading) => rawLayer(store, layer, keys, reading),
  }));
}

async function* rawLayer(
  store: BackupStore,
  layer: StoredLayer,
  keys: readonly EncryptionKey[],
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  const { layer: format } = layerFormats(layer.cipher, keys);
  await using file = await store.openLayer(layer, signal);
  await using handle = await open(file.path);
  yield* readFrames(handle.fd, layer, format);
}

/** The image that a backup lies on; undefined for a container without one. */
export function baseOf({ base, identity }: BackupDocument): BaseReference | undefined {
  const image = base?.image ?? identity.image;
  if (image === undefined && base === undefined) return undefined;
  return { ...base, image: image ?? "without a name" };
}
