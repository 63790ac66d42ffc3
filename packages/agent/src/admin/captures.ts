import { containerId, namespace } from "@aeon/core";
import { admin } from "@aeon/proto";
import type { BackupService, CaptureProgress, DrainedContainer } from "@aeon/rootfs-backup";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { backupMessage } from "./convert.ts";
import type { AdminDeps } from "./deps.ts";
import { MessageQueue } from "./message-queue.ts";
import { requireName, running } from "./require.ts";

/** Milliseconds that containers stand still, at most, when the request does not say. */
const defaultPauseMs = 10_000;

const serviceOf = (deps: AdminDeps): BackupService => running(deps.backups(), "the backup service");

const phases: Readonly<Record<CaptureProgress["phase"], admin.CreateBackupPhase>> = {
  waiting: admin.CreateBackupPhase.WAITING,
  freezing: admin.CreateBackupPhase.FREEZING,
  reading: admin.CreateBackupPhase.READING,
  staged: admin.CreateBackupPhase.STAGED,
};

type Created = MessageInitShape<typeof admin.CreateBackupResponseSchema>;

/** Takes a backup of a container that is there; the last message has it. */
export async function* createBackup(
  deps: AdminDeps,
  request: admin.CreateBackupRequest,
  signal: AbortSignal,
): AsyncGenerator<Created> {
  const service = serviceOf(deps);
  const wish = {
    namespace: namespace(requireName(request.namespace, "namespace")),
    containerId: containerId(requireName(request.containerId, "container_id")),
    trigger: "manual",
    ...(request.pause && { pause: pauseOf(request, request.requireFrozen ? "fail" : "live") }),
  } as const;
  const messages = new MessageQueue<Created>();
  const onProgress = ({ phase, bytes, total = 0 }: CaptureProgress): void => {
    if (phase !== "staged")
      messages.put({ phase: phases[phase], bytes: BigInt(bytes), total: BigInt(total) });
  };
  const creating = messages.endWith(service.create(wish, { signal, onProgress }));
  yield* messages;
  const backup = await creating;
  yield { phase: admin.CreateBackupPhase.STAGED, backup: backupMessage(backup) };
  if (!request.wait) return;
  for await (const each of service.watch(backup.id, signal))
    yield {
      phase: each.state === "stored" ? admin.CreateBackupPhase.STORED : admin.CreateBackupPhase.STAGED,
      backup: backupMessage(each),
    };
}

type Drained = MessageInitShape<typeof admin.DrainBackupsResponseSchema>;

/** Takes backups of all kept containers that run; the last message sums up. */
export async function* drainBackups(
  deps: AdminDeps,
  request: admin.DrainBackupsRequest,
  signal: AbortSignal,
): AsyncGenerator<Drained> {
  const messages = new MessageQueue<Drained>();
  const onContainer = ({ namespace: space, containerId: id, backup, failure }: DrainedContainer): void =>
    messages.put({
      namespace: space,
      containerId: id,
      failure: failure ?? "",
      ...(backup && { backup: backupMessage(backup) }),
    });
  const pause = request.pause ? { pause: pauseOf(request, "live") } : {};
  const draining = messages.endWith(serviceOf(deps).drain(pause, { signal, onContainer }));
  yield* messages;
  yield { summary: await draining };
}

const pauseOf = <Otherwise extends "live" | "fail">(
  { maxPauseMs }: { readonly maxPauseMs: number },
  otherwise: Otherwise,
) => ({ maxMs: maxPauseMs === 0 ? defaultPauseMs : maxPauseMs, otherwise });
