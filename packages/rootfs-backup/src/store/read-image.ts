import { errors } from "../errors.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import type { BackupDocument, Descriptor } from "./backup-document.ts";
import { parseConfig, parseManifest, verifyBlob } from "./image-manifest.ts";
import { jsonLimits, readSmall } from "./json-objects.ts";
import { layout } from "./layout.ts";
import { assertOwn } from "./names.ts";

/** The document that a manifest leads to, every byte verified. Rejects with `BACKUP_DAMAGED` or `BACKUP_FOREIGN`. */
export async function readImage(
  objects: ObjectStore,
  tenant: string,
  manifest: Descriptor,
  signal: AbortSignal,
): Promise<{ readonly document: BackupDocument; readonly config: Descriptor }> {
  const folder = layout.tenant(tenant);
  const read = (blob: Descriptor, limit: number) => readBlob(objects, folder, blob, limit, signal);
  const { config } = parseManifest(await read(manifest, jsonLimits.manifest), manifest.digest);
  const document = parseConfig(await read(config, jsonLimits.config), config.digest);
  const name = `document of backup ${document.id} in ${objects.location}`;
  for (const claimed of [document.chain.tenant, ...document.layers.map((layer) => layer.tenant)])
    assertOwn(layout.tenant(claimed), folder, name);
  return { document, config };
}

async function readBlob(
  objects: ObjectStore,
  folder: string,
  blob: Descriptor,
  limit: number,
  signal: AbortSignal,
): Promise<Buffer> {
  if (blob.size > limit)
    throw errors.BACKUP_DAMAGED(`blob ${blob.digest} claims ${blob.size} bytes, more than ${limit}`, {
      details: { digest: blob.digest, size: blob.size },
    });
  const found = await readSmall(objects, layout.blob(folder, blob.digest), limit, signal);
  if (found === undefined)
    throw errors.BACKUP_DAMAGED(`blob ${blob.digest} is missing in ${objects.location}`, {
      details: { digest: blob.digest },
    });
  return verifyBlob(found.bytes, blob);
}
