import type { Command } from "commander";
import { addStoreOptions, hasStore, withStore } from "../../catalog.ts";
import { addExamples, askAgent, print, type CliStreams } from "../../cli.ts";
import { errors } from "../../errors.ts";
import { backupView, type BackupView } from "../../views/backup.ts";
import { documentView, shownBackup, type ShownBackupView } from "../../views/shown-backup.ts";
import { storedBackupView } from "../../views/stored-backup.ts";

/** `aeonctl backup show` */
export function addShow(backup: Command, streams: CliStreams): void {
  const show = addStoreOptions(
    backup
      .command("show")
      .description("show one backup: whose it is, what it builds on, and what was not kept as it was")
      .argument("<backup>", "id of the backup"),
  ).action(async (id: string, _options: unknown, self: Command) => {
    const known = hasStore(self) ? undefined : await fromAgent(self, id);
    const view =
      known !== undefined && known.state !== "stored"
        ? { ...known, document: null }
        : await fromStore(self, id, known);
    await print(streams, self, view, { table: shownBackup });
  });
  addExamples(show, [
    ["aeonctl backup show BACKUP", "everything about it"],
    ["aeonctl backup show BACKUP --output yaml", "the same as YAML"],
    ["aeonctl backup show BACKUP --store /mnt/store", "without an agent"],
  ]);
}

const fromAgent = (command: Command, id: string): Promise<BackupView> =>
  askAgent(command, async (agent) => {
    const { backup } = await agent.getBackup({ id });
    if (backup === undefined)
      throw errors.AGENT_FOREIGN(`the agent answered without backup ${id}; use an aeonctl of its version`);
    return backupView(backup);
  });

/** The agent knows more of a backup that it made itself. */
const fromStore = (command: Command, id: string, known: BackupView | undefined): Promise<ShownBackupView> =>
  withStore(command, async ({ store }, signal) => {
    const { findBackup, listBackup } = await import("@aeon/rootfs-backup/inspect");
    const { document, location } = await findBackup(store, id, signal);
    const stored = storedBackupView(await listBackup(store, document, signal), location);
    const own = known && { attempts: known.attempts, storedAt: known.storedAt, location: known.location };
    return { ...stored, ...own, document: documentView(document) };
  });
