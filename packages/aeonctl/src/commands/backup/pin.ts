import type { Command } from "commander";
import { addStoreOptions, withStore } from "../../catalog.ts";
import { addExamples, print, type CliStreams } from "../../cli.ts";
import { printable } from "../../format/printable.ts";

/** What `aeonctl backup pin` and `unpin` say. */
export interface PinView {
  readonly id: string;
  readonly pinned: boolean;
  /** Null when not pinned. */
  readonly reason: string | null;
}

/** `aeonctl backup pin|unpin` */
export function addPin(backup: Command, streams: CliStreams): void {
  const pin = addStoreOptions(
    backup
      .command("pin")
      .description("keep a backup from being removed, by retention or by hand")
      .argument("<backup>", "id of the backup")
      .requiredOption("-r, --reason <text>", "why, for whoever wants to remove it"),
  ).action((id: string, { reason }: { reason: string }, self: Command) =>
    withStore(self, async ({ store }, signal) => {
      const { parseBackupId } = await import("@aeon/rootfs-backup/inspect");
      const pinned = await store.pin(parseBackupId(id), reason, signal);
      const view: PinView = { id, pinned: true, reason: pinned.reason };
      await print(streams, self, view, {
        table: () => `pinned ${printable(id)}: ${printable(pinned.reason)}\n`,
      });
    }),
  );
  addExamples(pin, [["aeonctl backup pin BACKUP --reason 'audit 2026'", "until it is unpinned"]]);

  const unpin = addStoreOptions(
    backup
      .command("unpin")
      .description("let a pinned backup be removed again")
      .argument("<backup>", "id of the backup"),
  ).action((id: string, _options: unknown, self: Command) =>
    withStore(self, async ({ store }, signal) => {
      const { findBackup } = await import("@aeon/rootfs-backup/inspect");
      const { document } = await findBackup(store, id, signal);
      const { parseBackupId } = await import("@aeon/rootfs-backup/inspect");
      await store.unpin(parseBackupId(document.id), signal);
      const view: PinView = { id, pinned: false, reason: null };
      await print(streams, self, view, { table: () => `unpinned ${printable(id)}\n` });
    }),
  );
  addExamples(unpin, [["aeonctl backup unpin BACKUP", "it may be removed"]]);
}
