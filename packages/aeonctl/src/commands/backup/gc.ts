import type { DoomedObject } from "@aeon/rootfs-backup/inspect";
import type { Command } from "commander";
import { addStoreOptions, withStore } from "../../catalog.ts";
import { addExamples, print, type CliStreams } from "../../cli.ts";
import { parseSpan } from "../../format/since.ts";
import { sweepText, sweepView } from "../../views/sweep.ts";

/** `aeonctl backup gc` */
export function addGc(backup: Command, streams: CliStreams): void {
  const gc = addStoreOptions(
    backup
      .command("gc")
      .description("delete data in the store that no backup needs; agents do so by themselves")
      .option(
        "--grace <time>",
        "leave what is younger, since it may belong to a backup under way",
        parseSpan,
        86_400_000,
      )
      .option("--dry-run", "only list what would be deleted", false),
  ).action(({ grace, dryRun }: { grace: number; dryRun: boolean }, self: Command) =>
    withStore(self, async ({ store }, signal) => {
      const doomed: DoomedObject[] = [];
      const onDoomed = (object: DoomedObject): void => void doomed.push(object);
      const report = await store.sweep({ signal, graceMs: grace, dryRun, onDoomed });
      const view = sweepView(store.location, report, { dryRun, doomed });
      await print(streams, self, view, { table: sweepText });
    }),
  );
  addExamples(gc, [
    ["aeonctl backup gc --dry-run", "what nobody needs"],
    ["aeonctl backup gc --store /mnt/store", "in a store without agents"],
  ]);
}
