import type { Command } from "commander";
import { addStoreOptions, hasStore, withStore } from "../../catalog.ts";
import { addExamples, askAgent, print, type CliStreams } from "../../cli.ts";
import { removalText, type RemovalView } from "../../views/removal.ts";

/** `aeonctl backup rm` */
export function addRm(backup: Command, streams: CliStreams): void {
  const rm = addStoreOptions(
    backup
      .command("rm")
      .description("remove a stored backup unless it is pinned; later ones that build on it stay whole")
      .argument("<backup>", "id of the backup")
      .option(
        "--force",
        "also while containers run on it: they go on, but nothing can be restored from it any more",
        false,
      ),
  ).action((id: string, { force }: { force: boolean }, self: Command) =>
    withStore(self, async ({ store }, signal) => {
      const { dependentsOf, findBackup, parseBackupId } = await import("@aeon/rootfs-backup/inspect");
      const { document } = await findBackup(store, id, signal);
      const dependents = await dependentsOf(store, document, signal);
      if (hasStore(self)) await store.removeBackup(parseBackupId(id), signal, { force });
      else await askAgent(self, (agent) => agent.deleteBackup({ id, force }));
      const own = document.layers.find((layer) => layer.backup === id);
      const view: RemovalView = {
        id,
        removed: true,
        neededBy: dependents,
        freed: dependents.length > 0 || own === undefined ? 0 : own.size + own.index.size + own.toc.size,
      };
      await print(streams, self, view, { table: removalText });
    }),
  );
  addExamples(rm, [
    ["aeonctl backup rm BACKUP", "it can no longer be restored"],
    ["aeonctl backup rm BACKUP --force", "although containers run on it"],
    ["aeonctl backup gc --dry-run", "what is deleted later"],
  ]);
}
