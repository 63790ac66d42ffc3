import type { Command } from "commander";
import { addStoreOptions, withStore } from "../../catalog.ts";
import { addExamples, print, type CliStreams } from "../../cli.ts";
import { errors } from "../../errors.ts";
import { ProgressLine } from "../../format/progress-line.ts";
import { verifyTable, verifyView } from "../../views/verify.ts";

/** `aeonctl backup verify` */
export function addVerify(backup: Command, streams: CliStreams): void {
  const verify = addStoreOptions(
    backup
      .command("verify")
      .description(
        "read backups whole and compare every digest, checksum, size and count; fails when one is damaged",
      )
      .argument("[backup...]", "ids of backups; all of the store when none is given")
      .option("--tenant <tenant>", "only backups of this tenant"),
  ).action((ids: string[], { tenant }: { tenant?: string }, self: Command) =>
    withStore(self, async ({ store, keys }, signal) => {
      const { listBackups, verifyBackups } = await import("@aeon/rootfs-backup/inspect");
      const { backups, damaged } = await listBackups(store, tenant === undefined ? {} : { tenant }, signal);
      const refs = backups.map(({ ref }) => ref).filter(({ id }) => ids.length === 0 || ids.includes(id));
      const missing = ids.filter((id) => refs.every((ref) => ref.id !== id));
      const report = await (async () => {
        using line = new ProgressLine(streams.stderr);
        return verifyBackups(store, refs, {
          keys,
          signal,
          onProgress: (done, total) => line.show("verifying", done, total),
        });
      })();
      const view = verifyView(store.location, report, { missing, damaged: ids.length === 0 ? damaged : [] });
      await print(streams, self, view, { table: verifyTable });
      if (!view.ok)
        throw errors.VERIFY_FAILED(
          `${view.faults.length} faults in ${store.location}; the first: ${view.faults[0]?.message ?? ""}`,
        );
    }),
  );
  addExamples(verify, [
    ["aeonctl backup verify BACKUP", "one backup with all it builds on"],
    ["aeonctl backup verify --store /mnt/store --output json", "a whole store, for a monitor"],
  ]);
}
