import { constants, copyFile, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { errnoOf } from "@aeon/core";
import type { ObjectStore } from "../objects/object-store.ts";
import type { StoredLayer } from "./backup-document.ts";
import { layout } from "./layout.ts";

/**
 * Gives a layer to another tenant: whoever could start a container of one with a backup of the other may. Documents
 * name only blobs of their own tenant, so the next backup of that container needs them there.
 */
export async function copyLayer(
  objects: ObjectStore,
  layer: StoredLayer,
  tenant: string,
  signal: AbortSignal,
): Promise<StoredLayer> {
  for (const { digest, size } of [layer.index, layer.toc, layer]) {
    const target = layout.blob(layout.tenant(tenant), digest);
    if ((await objects.stat(target, signal))?.size === size) continue;
    await using source = await objects.fetch(layout.blob(layout.tenant(layer.tenant), digest), {
      size,
      signal,
    });
    const copy = join(await objects.spool(signal), `copy-${randomBytes(8).toString("hex")}`);
    try {
      await copyFile(source.path, copy, constants.COPYFILE_EXCL);
      await flush(copy);
      await objects.upload(target, copy, { size, signal });
    } finally {
      await unlink(copy).catch((error: unknown) => {
        if (errnoOf(error) !== "ENOENT") throw error;
      });
    }
  }
  return { ...layer, tenant };
}

async function flush(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}
