import { admin } from "@aeon/proto";
import type { Command } from "commander";
import { addExamples, show, type CliStreams } from "../../cli.ts";
import type { AdminClient } from "../../client.ts";
import { errors } from "../../errors.ts";
import { ProgressLine } from "../../format/progress-line.ts";
import { enumName } from "../../views/enum-name.ts";
import { backupDetails, backupView, type BackupView } from "../../views/backup.ts";

/** `aeonctl backup wait` */
export function addWait(backup: Command, streams: CliStreams): void {
  const wait = backup
    .command("wait")
    .description("wait until a backup is stored; fails when an attempt to store it fails")
    .argument("<backup>", "id of the backup")
    .action((id: string, _options: unknown, self: Command) =>
      show(streams, self, { read: (agent) => waitForBackup(agent, id, streams), table: backupDetails }),
    );
  addExamples(wait, [["aeonctl backup wait BACKUP && echo stored", "before the host is taken away"]]);
}

async function waitForBackup(agent: AdminClient, id: string, { stderr }: CliStreams): Promise<BackupView> {
  let last: admin.Backup | undefined;
  {
    using line = new ProgressLine(stderr);
    for await (const { backup } of agent.watchBackup({ id }, { timeoutMs: 0 })) {
      last = backup;
      if (backup === undefined) continue;
      const { state, progress } = backup;
      line.show(
        enumName(admin.BackupState, state),
        Number(progress?.done ?? 0n),
        Number(progress?.total ?? 0n),
      );
    }
  }
  if (last === undefined)
    throw errors.AGENT_FOREIGN(`the agent answered without backup ${id}; use an aeonctl of its version`);
  const view = backupView(last);
  if (view.state === "stored") return view;
  throw errors.BACKUP_FAILED(
    `backup ${id} is ${view.state}: ${view.failure ?? "no reason given"}; its files stay staged and are tried again${view.nextAttemptAt === null ? "" : ` at ${view.nextAttemptAt}`}`,
    { details: { backup: id } },
  );
}
