import type { TreeChange } from "@aeon/rootfs-backup/inspect";
import type { Command } from "commander";
import { addStoreOptions, withStore } from "../../catalog.ts";
import { addExamples, print, type CliStreams } from "../../cli.ts";
import { changeTable, changeView, type ChangeView } from "../../views/change.ts";
import { textPatch } from "./text-patch.ts";

/** `aeonctl backup diff` */
export function addDiff(backup: Command, streams: CliStreams): void {
  const diff = addStoreOptions(
    backup
      .command("diff")
      .description(
        "show which files differ between two backups, or since the one that a backup was made upon",
      )
      .argument("<backup>", "id of the backup; of the earlier one when there are two")
      .argument("[later]", "id of the later backup")
      .option("-C, --content", "show how texts differ, as a patch", false)
      .option("-q, --quiet", "print only paths, one per line", false),
  ).action((id: string, later: string | undefined, options: { content: boolean }, self: Command) =>
    withStore(self, async ({ store, keys }, signal) => {
      const inspect = await import("@aeon/rootfs-backup/inspect");
      const { document: named } = await inspect.findBackup(store, id, signal);
      const [before, after] =
        later === undefined
          ? [(await inspect.parentOf(store, named, signal))?.document, named]
          : [named, (await inspect.findBackup(store, later, signal)).document];
      const treeOf = (document: typeof named) =>
        new inspect.ChainTree(document.layers, inspect.blobsOf(store, document, signal), { keys, signal });
      const left = before === undefined ? undefined : treeOf(before);
      const right = treeOf(after);
      const changes: { readonly change: TreeChange; readonly view: ChangeView }[] = [];
      for await (const change of inspect.diffTrees(left?.entries() ?? nothing(), right.entries()))
        changes.push({ change, view: changeView(change) });
      if (!options.content)
        return print(
          streams,
          self,
          changes.map(({ view }) => view),
          { table: changeTable, names: (all) => all.map(({ path }) => path) },
        );
      for (const { change, view } of changes) {
        const patch = await textPatch(change, view.path, { left, right });
        if (patch !== "") streams.stdout.write(patch);
      }
    }),
  );
  addExamples(diff, [
    ["aeonctl backup diff BACKUP", "what the container changed since its files were restored"],
    ["aeonctl backup diff EARLIER LATER", "between any two backups"],
    ["aeonctl backup diff BACKUP --content | less", "with the changed lines of texts"],
  ]);
}

async function* nothing(): AsyncGenerator<never, void> {}
