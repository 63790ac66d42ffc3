import { backupId, type BackupId } from "@aeon/core";
import { errors } from "../errors.ts";
import type { ObjectKey, ObjectStore } from "../objects/object-store.ts";
import { refSchema, type BackupRef } from "./backup-ref.ts";
import { isBackupId } from "./backup-id.ts";
import { readJson } from "./json-objects.ts";
import { layout, nameIn, tenantsPrefix } from "./layout.ts";

/** Reads a name and checks that it belongs where it lies. Rejects with `BACKUP_DAMAGED` or `BACKUP_FOREIGN`. */
export async function readRef(
  objects: ObjectStore,
  key: ObjectKey,
  folder: string,
  signal: AbortSignal,
): Promise<BackupRef | undefined> {
  const found = await readJson(objects, key, refSchema, signal);
  if (found === undefined) return undefined;
  const ref = found.value;
  assertOwn(layout.tenant(ref.chain.tenant), folder, `${key} in ${objects.location}`);
  const expected = key.startsWith(layout.workloads(folder))
    ? layout.ref(ref.chain, ref.seq, ref.id)
    : `${key.slice(0, key.lastIndexOf("/") + 1)}${ref.id}.json`;
  if (key !== expected)
    throw errors.BACKUP_DAMAGED(`${key} in ${objects.location} names backup ${ref.id} of ${expected}`, {
      details: { key, expected },
    });
  return ref;
}

/** Throws `BACKUP_FOREIGN` unless what lies in a tenant's folder is the tenant's. */
export function assertOwn(claimed: string, folder: string, name: string): void {
  if (claimed !== folder)
    throw errors.BACKUP_FOREIGN(`${name} is tenant ${folder}'s, but names tenant ${claimed}'s data`, {
      details: { folder, claimed },
    });
}

/** The folders of all tenants. */
export async function tenantFolders(objects: ObjectStore, signal: AbortSignal): Promise<readonly string[]> {
  const folders: string[] = [];
  for await (const folder of objects.folders(tenantsPrefix, signal)) folders.push(folder);
  return folders.toSorted();
}

/** The name of a backup by its id, looked for in the given tenants or in all. */
export async function findRef(
  objects: ObjectStore,
  id: BackupId,
  signal: AbortSignal,
  tenant?: string,
): Promise<BackupRef | undefined> {
  if (!isBackupId(id)) return undefined;
  const folders = tenant === undefined ? await tenantFolders(objects, signal) : [layout.tenant(tenant)];
  const found = await Promise.all(
    folders.map((folder) => readRef(objects, layout.pointer(folder, id), folder, signal)),
  );
  return found.find((ref) => ref !== undefined);
}

/** Ids of the objects of a folder whose names are ids. */
export async function* idsIn(
  objects: ObjectStore,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<BackupId, void> {
  for await (const { key } of objects.list(prefix, signal)) {
    const name = nameIn(key);
    if (isBackupId(name)) yield backupId(name);
  }
}
