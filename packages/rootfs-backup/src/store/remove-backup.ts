import type { BackupId } from "@aeon/core";
import { errors } from "../errors.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import type { BackupRef } from "./backup-ref.ts";
import { withdraw } from "./head.ts";
import { assertFree } from "./holds.ts";
import { encodeJson } from "./json-objects.ts";
import { layout } from "./layout.ts";
import { moveHead } from "./move-head.ts";
import { findRef } from "./names.ts";
import { newestRef } from "./publish.ts";

/** How a backup is removed. */
export interface RemoveOptions {
  /**
   * Also while containers run on it: they go on, and their data stays for as long as their nodes say so, but nothing
   * can be restored from it any more. Pinned backups stay all the same.
   */
  readonly force?: boolean | undefined;
}

/**
 * Removes the names of a backup: from HEAD first and its id last, so that a removal that was cut off can be
 * repeated. A note in `removed` keeps the data for the sweep's grace, and holds do for as long as they last. Rejects
 * with `BACKUP_PINNED`, or `BACKUP_IN_USE` unless forced.
 */
export async function removeBackup(
  objects: ObjectStore,
  id: BackupId,
  signal: AbortSignal,
  options: RemoveOptions = {},
): Promise<void> {
  const ref = await findRef(objects, id, signal);
  if (ref === undefined) return;
  await assertRemovable(objects, id, ref.chain.tenant, signal, options);
  await removeRef(objects, ref, signal);
}

/** Rejects with `BACKUP_PINNED` or `BACKUP_IN_USE`. */
export async function assertRemovable(
  objects: ObjectStore,
  id: string,
  tenant: string,
  signal: AbortSignal,
  { force = false }: RemoveOptions = {},
): Promise<void> {
  const folder = layout.tenant(tenant);
  await assertUnpinned(objects, folder, id, signal);
  if (!force) await assertFree(objects, folder, id, signal);
}

async function assertUnpinned(
  objects: ObjectStore,
  folder: string,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  if ((await objects.stat(layout.pin(folder, id), signal)) !== undefined)
    throw errors.BACKUP_PINNED(`backup ${id} is pinned, so it is not removed`, { details: { backup: id } });
}

export async function removeRef(objects: ObjectStore, ref: BackupRef, signal: AbortSignal): Promise<void> {
  const { id, chain, seq } = ref;
  const folder = layout.tenant(chain.tenant);
  await assertUnpinned(objects, folder, id, signal);
  await moveHead(
    objects,
    chain,
    async (head) => {
      if (head === undefined) return undefined;
      if (head.tip?.backup !== id && head.diverged.every(({ backup }) => backup !== id)) return head;
      const remaining = head.tip?.backup === id ? await newestRef(objects, chain, signal, id) : undefined;
      return withdraw(head, id, remaining);
    },
    signal,
  );
  await objects.create(layout.removal(folder, id), encodeJson(ref), signal);
  await objects.remove(layout.ref(chain, seq, id), signal);
  await objects.remove(layout.pointer(folder, id), signal);
}
