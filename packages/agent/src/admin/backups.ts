import { containerId, namespace, type BackupId } from "@aeon/core";
import type { admin } from "@aeon/proto";
import { parseBackupId, type BackupService } from "@aeon/rootfs-backup";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { backupMessage, restoreMessage } from "./convert.ts";
import type { AdminDeps } from "./deps.ts";
import { requireName, running } from "./require.ts";

const serviceOf = (deps: AdminDeps): BackupService => running(deps.backups(), "the backup service");
/** Ids become file names in the store, so they are checked here, where they enter. */
const idOf = ({ id }: { readonly id: string }): BackupId => parseBackupId(id);

/** The backups that the request selects, newest first. */
export async function listBackups(
  deps: AdminDeps,
  request: admin.ListBackupsRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.ListBackupsResponseSchema>> {
  const backups = (await serviceOf(deps).list(signal))
    .filter((backup) => request.namespace === "" || backup.namespace === request.namespace)
    .filter((backup) => request.containerId === "" || backup.containerId === request.containerId);
  return { backups: backups.map(backupMessage) };
}

/** One backup; not-found when there is none of that id. */
export async function getBackup(
  deps: AdminDeps,
  request: admin.GetBackupRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.GetBackupResponseSchema>> {
  return { backup: backupMessage(await serviceOf(deps).get(idOf(request), signal)) };
}

/** The backup now and after each change, until it is stored or an attempt has failed. */
export async function* watchBackup(
  deps: AdminDeps,
  request: admin.WatchBackupRequest,
  signal: AbortSignal,
): AsyncGenerator<MessageInitShape<typeof admin.WatchBackupResponseSchema>> {
  for await (const backup of serviceOf(deps).watch(idOf(request), signal))
    yield { backup: backupMessage(backup) };
}

/** Where backups are stored. */
export async function getBackupStore(
  deps: AdminDeps,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.GetBackupStoreResponseSchema>> {
  const { address } = await deps.containerd(signal);
  const { storeTable, retention, keyFile = "" } = serviceOf(deps);
  return {
    table: JSON.stringify(storeTable),
    containerd: address,
    keyFile,
    retention: JSON.stringify(retention),
  };
}

/** Forgets a stored backup. */
export async function deleteBackup(
  deps: AdminDeps,
  request: admin.DeleteBackupRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.DeleteBackupResponseSchema>> {
  await serviceOf(deps).remove(idOf(request), signal, { force: request.force });
  return {};
}

/** Makes the wish durable and answers with it. */
export async function requestRestore(
  deps: AdminDeps,
  request: admin.RequestRestoreRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.RequestRestoreResponseSchema>> {
  const wish = {
    backupId: parseBackupId(request.backupId),
    namespace: namespace(requireName(request.namespace, "namespace")),
    containerId: containerId(requireName(request.containerId, "container_id")),
  };
  const restore = await serviceOf(deps).requestRestore(wish, signal);
  return { restore: restoreMessage(restore) };
}

/** Restore requests, newest first. */
export async function listRestores(
  deps: AdminDeps,
  { pending }: admin.ListRestoresRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.ListRestoresResponseSchema>> {
  const all = await serviceOf(deps).restores(signal);
  const restores = all.filter(({ state }) => !pending || state === "pending");
  return { restores: restores.map(restoreMessage) };
}
