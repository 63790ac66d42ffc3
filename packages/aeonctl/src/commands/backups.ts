import type { admin } from "@aeon/proto";
import type { Command } from "commander";
import { addBackupCreate } from "./backup-create.ts";
import { addExamples, show, type CliStreams } from "../cli.ts";
import type { AdminClient } from "../client.ts";
import { printable } from "../format/printable.ts";
import { errors } from "../errors.ts";
import { backupDetails, backupTable, backupView, type BackupView } from "../views/backup.ts";

/** `aeonctl backups ls|show|wait|rm` */
export function addBackups(program: Command, streams: CliStreams): void {
  const backups = program
    .command("backups")
    .alias("backup")
    .description("look at backups of containers' writable layers");

  addBackupCreate(backups, streams);

  const ls = backups
    .command("ls")
    .description("list backups, newest first")
    .option("-n, --namespace <namespace>", "only this containerd namespace", "")
    .option("-c, --container <id>", "only backups of this container", "")
    .option("-q, --quiet", "print only ids, one per line", false)
    .action((options: { namespace: string; container: string }, self: Command) =>
      show(streams, self, {
        read: async (agent) => {
          const request = { namespace: options.namespace, containerId: options.container };
          return (await agent.listBackups(request)).backups.map(backupView);
        },
        table: backupTable,
        names: (views) => views.map(({ id }) => id),
      }),
    );
  addExamples(ls, [
    ["aeonctl backups ls", "all backups"],
    ["aeonctl backups ls --container web", "those of one container"],
    ["aeonctl backups ls --container web --quiet | head -1", "the id of its newest one"],
  ]);

  const showOne = backups
    .command("show")
    .description("show one backup")
    .argument("<backup>", "id of the backup")
    .action((id: string, _options: unknown, self: Command) =>
      show(streams, self, {
        read: async (agent) => backupView(required((await agent.getBackup({ id })).backup, id)),
        table: backupDetails,
      }),
    );
  addExamples(showOne, [
    ["aeonctl backups show BACKUP", "everything about it"],
    ["aeonctl backups show BACKUP --output yaml", "the same as YAML"],
  ]);

  const remove = backups
    .command("rm")
    .description("forget a stored backup; later ones that build on it stay whole")
    .argument("<backup>", "id of the backup")
    .action((id: string, _options: unknown, self: Command) =>
      show(streams, self, {
        read: async (agent) => {
          await agent.deleteBackup({ id });
          return { id, removed: true };
        },
        table: (answer) => `removed ${printable(answer.id)}\n`,
      }),
    );
  addExamples(remove, [["aeonctl backups rm BACKUP", "it can no longer be restored"]]);

  const wait = backups
    .command("wait")
    .description("wait until a backup is stored; fails when an attempt to store it fails")
    .argument("<backup>", "id of the backup")
    .action((id: string, _options: unknown, self: Command) =>
      show(streams, self, { read: (agent) => waitForBackup(agent, id), table: backupDetails }),
    );
  addExamples(wait, [["aeonctl backups wait BACKUP && echo stored", "before the host is taken away"]]);
}

async function waitForBackup(agent: AdminClient, id: string): Promise<BackupView> {
  let last: admin.Backup | undefined;
  for await (const { backup } of agent.watchBackup({ id }, { timeoutMs: 0 })) last = backup;
  const view = backupView(required(last, id));
  if (view.state === "stored") return view;
  throw errors.BACKUP_FAILED(
    `backup ${id} is ${view.state}: ${view.failure ?? "no reason given"}; its files stay staged and are tried again`,
    { details: { backup: id } },
  );
}

function required(backup: admin.Backup | undefined, id: string): admin.Backup {
  if (backup === undefined)
    throw errors.AGENT_FOREIGN(`the agent answered without backup ${id}; use an aeonctl of its version`);
  return backup;
}
