import { linux } from "@aeon/core";
import { errors } from "../errors.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import type { Descriptor, StoredLayer } from "./backup-document.ts";
import type { VerifyLayerOptions } from "./backup-store.ts";
import { layout } from "./layout.ts";

type Blob = Pick<Descriptor, "digest" | "size">;

/** Bytes read at a time. */
const rangeSize = 8 * 1024 * 1024;

/** As {@link BackupStore.verifyLayer}. */
export async function verifyStoredLayer(
  objects: ObjectStore,
  layer: StoredLayer,
  { signal, verification, onProgress }: VerifyLayerOptions,
): Promise<void> {
  const folder = layout.tenant(layer.tenant);
  let before = 0;
  for (const blob of [layer.index, layer.toc, layer]) {
    const done = before;
    await assertThere(objects, folder, blob, signal);
    if (verification === "content")
      await assertContent(objects, folder, blob, signal, (bytes) => onProgress?.(done + bytes));
    onProgress?.((before += blob.size));
  }
}

async function assertThere(
  objects: ObjectStore,
  folder: string,
  { digest, size }: Blob,
  signal: AbortSignal,
): Promise<void> {
  const facts = await objects.stat(layout.blob(folder, digest), signal);
  if (facts?.size === size) return;
  if (facts !== undefined) await objects.remove(layout.blob(folder, digest), signal);
  const how = facts === undefined ? "not there" : `of ${facts.size} bytes instead of ${size}`;
  throw missing(`blob ${digest} was uploaded to ${objects.location} and is ${how}`, digest, size);
}

async function assertContent(
  objects: ObjectStore,
  folder: string,
  { digest, size }: Blob,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const key = layout.blob(folder, digest);
  const sum = new linux.BackgroundSha256();
  for (let offset = 0; offset < size; offset += rangeSize) {
    const range = { offset, length: Math.min(rangeSize, size - offset) };
    const found = await objects.read(key, { signal, range });
    if (found === undefined) throw missing(`blob ${digest} vanished from ${objects.location}`, digest, size);
    await sum.update(found.bytes);
    onProgress(offset + range.length);
  }
  const actual = `sha256:${await sum.digest()}`;
  if (actual === digest) return;
  await objects.remove(key, signal);
  throw missing(`blob ${digest} was read back from ${objects.location} as ${actual}`, digest, size);
}

const missing = (message: string, digest: string, size: number) =>
  errors.LAYER_MISSING(message, { details: { digest, size } });
