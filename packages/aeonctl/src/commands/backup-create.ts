import { admin } from "@aeon/proto";
import { InvalidArgumentError, type Command } from "commander";
import { addExamples, show, type CliStreams } from "../cli.ts";
import type { AdminClient } from "../client.ts";
import { errors } from "../errors.ts";
import { ProgressLine } from "../format/progress-line.ts";
import { backupDetails, backupView, type BackupView } from "../views/backup.ts";
import { drainTable, drainView, type DrainView } from "../views/drain.ts";
import { enumName } from "../views/enum-name.ts";

interface PauseOptions {
  readonly pause: boolean;
  /** Milliseconds. */
  readonly maxPause: number;
}

interface CreateOptions extends PauseOptions {
  readonly container: string;
  readonly namespace: string;
  readonly requireFrozen: boolean;
  readonly wait: boolean;
}

const pauseOptions = (command: Command): Command =>
  command
    .option("-p, --pause", "make its processes stand still while its files are read", false)
    .option("--max-pause <seconds>", "how long they stand still, at most", seconds, 10_000);

/** `aeonctl backup create|drain` */
export function addBackupCreate(backups: Command, streams: CliStreams): void {
  const create = pauseOptions(
    backups
      .command("create")
      .description("take a backup of a container that is running")
      .requiredOption("-c, --container <id>", "id of the container")
      .option("-n, --namespace <namespace>", "its containerd namespace", "default"),
  )
    .option("--require-frozen", "with --pause, fail when that is too short to read all files", false)
    .option("-w, --wait", "wait until the backup is stored", false)
    .action((options: CreateOptions, self: Command) =>
      show(streams, self, { read: (agent) => createBackup(agent, options, streams), table: backupDetails }),
    );
  addExamples(create, [
    ["aeonctl backup create --container web", "while it runs"],
    ["aeonctl backup create --container web --pause --wait", "of one moment, and in the store"],
    ["aeonctl backup create -n k8s.io -c ID --pause --max-pause 2", "standing still two seconds at most"],
  ]);

  const drain = pauseOptions(
    backups
      .command("drain")
      .description("take backups of all running containers that are kept, and wait until all is stored"),
  ).action((options: PauseOptions, self: Command) =>
    show(streams, self, { read: (agent) => drainBackups(agent, options, streams), table: drainTable }),
  );
  addExamples(drain, [["aeonctl backup drain && echo safe", "before the host is taken away"]]);
}

async function createBackup(
  agent: AdminClient,
  { container, namespace, pause, maxPause, requireFrozen, wait }: CreateOptions,
  { stderr }: CliStreams,
): Promise<BackupView> {
  const request = { containerId: container, namespace, pause, maxPauseMs: maxPause, requireFrozen, wait };
  using line = new ProgressLine(stderr);
  let last: admin.Backup | undefined;
  for await (const { phase, bytes, total, backup } of agent.createBackup(request, { timeoutMs: 0 })) {
    last = backup ?? last;
    line.show(enumName(admin.CreateBackupPhase, phase), Number(bytes), Number(total));
  }
  if (last === undefined)
    throw errors.AGENT_FOREIGN("the agent answered without a backup; use an aeonctl of its version");
  const view = backupView(last);
  if (!wait || view.state === "stored") return view;
  throw errors.BACKUP_FAILED(
    `backup ${view.id} is ${view.state}: ${view.failure ?? "no reason given"}; its files stay staged and are tried again`,
    { details: { backup: view.id } },
  );
}

async function drainBackups(
  agent: AdminClient,
  { pause, maxPause }: PauseOptions,
  { stderr }: CliStreams,
): Promise<DrainView> {
  using line = new ProgressLine(stderr);
  const messages: admin.DrainBackupsResponse[] = [];
  line.show("draining", 0, 0);
  for await (const message of agent.drainBackups({ pause, maxPauseMs: maxPause }, { timeoutMs: 0 }))
    messages.push(message);
  const view = drainView(messages);
  if (view.failed === 0 && view.pending === 0) return view;
  const reasons = view.containers.flatMap(({ containerId, failure }) =>
    failure === null ? [] : [`${containerId}: ${failure}`],
  );
  throw errors.DRAIN_INCOMPLETE(
    `${view.failed} of ${view.containers.length} containers have no stored backup, and ${view.pending} backups of this host are not stored; ${reasons.join("; ")}`,
    { details: { failed: view.failed, pending: view.pending } },
  );
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value > 0 && value <= longestPause))
    throw new InvalidArgumentError(`Expected seconds above 0 and up to ${longestPause}.`);
  return Math.round(value * 1000);
}

/** Seconds. */
const longestPause = 600;
