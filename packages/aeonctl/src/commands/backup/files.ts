import type { TreeEntry } from "@aeon/rootfs-backup/inspect";
import type { Command } from "commander";
import { addStoreOptions, withStore } from "../../catalog.ts";
import { addExamples, print, type CliStreams } from "../../cli.ts";
import { fileTable, fileTree, fileView } from "../../views/file.ts";

interface FilesOptions {
  readonly layer: boolean;
  readonly tree: boolean;
}

/** `aeonctl backup files` */
export function addFiles(backup: Command, streams: CliStreams): void {
  const files = addStoreOptions(
    backup
      .command("files")
      .description("list the files of a backup with those it builds on, as a container would see them")
      .argument("<backup>", "id of the backup")
      .argument("[path]", "only this file, or this directory and what is in it", "/")
      .option("-l, --layer", "only what the backup itself changed, without those it builds on", false)
      .option("-T, --tree", "as a tree", false)
      .option("-q, --quiet", "print only paths, one per line", false),
  ).action((id: string, path: string, options: FilesOptions, self: Command) =>
    withStore(self, async ({ store, keys }, signal) => {
      const { blobsOf, ChainTree, findBackup, layerPath } = await import("@aeon/rootfs-backup/inspect");
      const { document } = await findBackup(store, id, signal);
      const layers = options.layer ? document.layers.filter((layer) => layer.backup === id) : document.layers;
      const tree = new ChainTree(layers, blobsOf(store, document, signal), { keys, signal });
      const entries: AsyncIterable<TreeEntry> = path === "/" ? tree.entries() : tree.below(layerPath(path));
      const views = [];
      for await (const entry of entries) views.push(fileView(entry, layers[entry.layer]?.backup ?? id));
      await print(streams, self, views, {
        table: options.tree ? fileTree : fileTable,
        names: (all) => all.map((file) => file.path),
      });
    }),
  );
  addExamples(files, [
    ["aeonctl backup files BACKUP", "everything that was changed since the image"],
    ["aeonctl backup files BACKUP /etc --layer", "what this backup itself changed in /etc"],
    ["aeonctl backup files BACKUP --store /var/lib/aeon/backup/store", "without an agent"],
  ]);
}
