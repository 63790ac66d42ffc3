import { once } from "node:events";
import type { Command } from "commander";
import { addStoreOptions, withStore } from "../../catalog.ts";
import { addExamples, type CliStreams } from "../../cli.ts";

/** `aeonctl backup cat` */
export function addCat(backup: Command, { stdout }: CliStreams): void {
  const cat = addStoreOptions(
    backup
      .command("cat")
      .description("print the content of a file; only the parts of the layer that hold it are read")
      .argument("<backup>", "id of the backup")
      .argument("<path>", "a file that was changed since the image"),
  ).action((id: string, path: string, _options: unknown, self: Command) =>
    withStore(self, async ({ store, keys }, signal) => {
      const { blobsOf, ChainTree, findBackup, layerPath } = await import("@aeon/rootfs-backup/inspect");
      const { document } = await findBackup(store, id, signal);
      const tree = new ChainTree(document.layers, blobsOf(store, document, signal), { keys, signal });
      const file = await tree.find(layerPath(path));
      for await (const piece of tree.content(file))
        if (!stdout.write(piece)) await once(stdout, "drain", { signal });
    }),
  );
  addExamples(cat, [
    ["aeonctl backup cat BACKUP /etc/motd", "a text"],
    ["aeonctl backup cat BACKUP /root/data.db > data.db", "any other content"],
  ]);
}
