import { backupId, type BackupId } from "@aeon/core";
import * as v from "valibot";
import { errors } from "../errors.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import { refSchema } from "./backup-ref.ts";
import type { Pin } from "./backup-store.ts";
import { encodeJson, readJson } from "./json-objects.ts";
import { layout } from "./layout.ts";
import { findRef, tenantFolders } from "./names.ts";

/** With the backup's name in it, so that a sweep needs nothing else to keep its data. */
export const pinSchema = v.object({ reason: v.string(), ref: refSchema });

export async function pinBackup(
  objects: ObjectStore,
  id: BackupId,
  reason: string,
  signal: AbortSignal,
): Promise<Pin> {
  const ref = await findRef(objects, id, signal);
  if (ref === undefined)
    throw errors.BACKUP_NOT_FOUND(`backup ${id} does not exist in ${objects.location}`, {
      details: { backup: id },
    });
  const folder = layout.tenant(ref.chain.tenant);
  await objects.create(layout.pin(folder, id), encodeJson({ reason, ref }), signal);
  const pin = await readPin(objects, folder, id, signal);
  if (pin === undefined) throw errors.BACKUP_NOT_FOUND(`backup ${id} was unpinned meanwhile`);
  return pin;
}

export async function unpinBackup(objects: ObjectStore, id: BackupId, signal: AbortSignal): Promise<void> {
  for (const folder of await tenantFolders(objects, signal))
    if ((await objects.stat(layout.pin(folder, id), signal)) !== undefined)
      await objects.remove(layout.pin(folder, id), signal);
}

/** The pin of a backup; undefined when there is none. */
export async function readPin(
  objects: ObjectStore,
  folder: string,
  id: BackupId,
  signal: AbortSignal,
): Promise<Pin | undefined> {
  const key = layout.pin(folder, id);
  const [found, facts] = await Promise.all([
    readJson(objects, key, pinSchema, signal),
    objects.stat(key, signal),
  ]);
  if (found === undefined || facts === undefined) return undefined;
  const { reason, ref } = found.value;
  return { backup: backupId(ref.id), reason, pinnedAt: facts.modifiedAt.getTime() };
}
