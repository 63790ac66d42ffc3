import { backupId } from "@aeon/core";
import { errors } from "../errors.ts";
import type { BackupDocument } from "../store/backup-document.ts";
import { parseBackupId } from "../store/backup-id.ts";
import type { BackupStore, StoredBackup } from "../store/backup-store.ts";
import type { ReadBlob } from "./read-blob.ts";

/** The backup of an id as a person gave it. Rejects with `BACKUP_ID_INVALID`, `BACKUP_NOT_FOUND` or `BACKUP_DAMAGED`. */
export async function findBackup(
  store: BackupStore,
  id: string,
  signal: AbortSignal,
  tenant?: string,
): Promise<StoredBackup> {
  const found = await store.getBackup(parseBackupId(id), signal, tenant);
  if (found !== undefined) return found;
  throw errors.BACKUP_NOT_FOUND(`backup ${id} is not in ${store.location}`, { details: { backup: id } });
}

/** The backup that the other one was made upon; undefined for the first one, or when it was removed. */
export async function parentOf(
  store: BackupStore,
  { parent, chain }: BackupDocument,
  signal: AbortSignal,
): Promise<StoredBackup | undefined> {
  return parent === undefined ? undefined : store.getBackup(backupId(parent), signal, chain.tenant);
}

/** Reads blobs of the tenant that the backup belongs to. */
export const blobsOf =
  (store: BackupStore, { chain }: Pick<BackupDocument, "chain">, signal: AbortSignal): ReadBlob =>
  (blob, range) =>
    store.readBlob(chain.tenant, blob, range, signal);
