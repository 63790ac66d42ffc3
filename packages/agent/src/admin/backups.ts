import { backupId, containerId, namespace } from "@aeon/core";
import type { admin } from "@aeon/proto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { backupMessage, restoreMessage } from "./convert.ts";
import type { AdminBackups, AdminDeps } from "./deps.ts";
import { requireName, running } from "./require.ts";

const backupsOf = (deps: AdminDeps): AdminBackups => running(deps.backups(), "the backup service");

/** The backups that the request selects, newest first. */
export async function listBackups(
  deps: AdminDeps,
  request: admin.ListBackupsRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.ListBackupsResponseSchema>> {
  const all = await backupsOf(deps).list(signal);
  const backups = all
    .filter((backup) => request.namespace === "" || backup.namespace === request.namespace)
    .filter((backup) => request.containerId === "" || backup.containerId === request.containerId)
    .toSorted((a, b) => Number(b.createdAt - a.createdAt));
  return { backups: backups.map(backupMessage) };
}

/** One backup; not-found when there is none of that id. */
export async function getBackup(
  deps: AdminDeps,
  request: admin.GetBackupRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.GetBackupResponseSchema>> {
  const id = backupId(requireName(request.id, "id"));
  return { backup: backupMessage(await backupsOf(deps).get(id, signal)) };
}

/** The backup now and after each change, until it is stored or has failed. */
export async function* watchBackup(
  deps: AdminDeps,
  request: admin.WatchBackupRequest,
  signal: AbortSignal,
): AsyncGenerator<MessageInitShape<typeof admin.WatchBackupResponseSchema>> {
  const id = backupId(requireName(request.id, "id"));
  for await (const backup of backupsOf(deps).watch(id, signal)) {
    yield { backup: backupMessage(backup) };
    if (backup.state === "stored" || backup.state === "failed") return;
  }
}

/** Makes the wish durable and answers with it. */
export async function requestRestore(
  deps: AdminDeps,
  request: admin.RequestRestoreRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.RequestRestoreResponseSchema>> {
  const wish = {
    backupId: backupId(requireName(request.backupId, "backup_id")),
    namespace: namespace(requireName(request.namespace, "namespace")),
    containerId: containerId(requireName(request.containerId, "container_id")),
  };
  return { restore: restoreMessage(await backupsOf(deps).requestRestore(wish, signal)) };
}

/** Restore requests, newest first. */
export async function listRestores(
  deps: AdminDeps,
  request: admin.ListRestoresRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.ListRestoresResponseSchema>> {
  const all = await backupsOf(deps).restores(signal);
  const restores = all
    .filter(({ state }) => !request.pending || state === "pending")
    .toSorted((a, b) => Number(b.requestedAt - a.requestedAt));
  return { restores: restores.map(restoreMessage) };
}
