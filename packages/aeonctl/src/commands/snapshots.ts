import { Option, type Command } from "commander";
import { addExamples, show, type CliStreams } from "../cli.ts";
import { collect } from "./collect.ts";
import { snapshotTable, snapshotView, usageTable, usageView } from "../views/snapshot.ts";

const filterOption = (): Option =>
  new Option(
    "-f, --filter <expression>",
    "only snapshots that the containerd filter matches; may be repeated, any may match",
  )
    .argParser((value: string, previous: readonly string[]) => [...previous, value])
    .default([], "all");

/** `aeonctl snapshots ls|usage` */
export function addSnapshots(program: Command, streams: CliStreams): void {
  const snapshots = program.command("snapshots").description("look at the snapshots of the backend");

  const ls = snapshots
    .command("ls")
    .description("list snapshots")
    .addOption(filterOption())
    .option("-q, --quiet", "print only names, one per line", false)
    .action((options: { filter: string[] }, self: Command) =>
      show(streams, self, {
        read: async (agent) => {
          const batches = await collect(agent.listSnapshots({ filters: options.filter }));
          return batches.flatMap((batch) => batch.snapshots.map(snapshotView));
        },
        table: snapshotTable,
        names: (views) => views.map(({ name }) => name),
      }),
    );
  addExamples(ls, [
    ["aeonctl snapshots ls", "all of them"],
    ["aeonctl snapshots ls --filter kind==active", "writable layers"],
    ["aeonctl snapshots ls --filter 'name~=^default/'", "those of one containerd namespace"],
  ]);

  const usage = snapshots
    .command("usage")
    .description("measure disk usage of snapshots, without their parents")
    .argument("[name...]", "names of snapshots; all when none is given")
    .addOption(filterOption())
    .action((names: string[], options: { filter: string[] }, self: Command) =>
      show(streams, self, {
        read: async (agent) => {
          const request = { names, filters: options.filter };
          // Walks through files: may take as long as it takes.
          return (await collect(agent.listSnapshotUsage(request, { timeoutMs: 0 }))).map(usageView);
        },
        table: usageTable,
      }),
    );
  addExamples(usage, [
    ["aeonctl snapshots usage", "all snapshots, largest first"],
    ["aeonctl snapshots usage --filter kind==active", "what containers have written"],
    ["aeonctl snapshots usage default/12/web", "one snapshot"],
  ]);
}
