import { errorMessage } from "@aeon/core";
import type { BackupList } from "@aeon/rootfs-backup/inspect";
import type { Command } from "commander";
import { addStoreOptions, hasStore, withStore } from "../../catalog.ts";
import { addExamples, askAgent, print, type CliStreams } from "../../cli.ts";
import { errors } from "../../errors.ts";
import { printable } from "../../format/printable.ts";
import { parseSince } from "../../format/since.ts";
import { backupTable, backupView, storedTable, type BackupView } from "../../views/backup.ts";
import { storedBackupView } from "../../views/stored-backup.ts";

interface ListOptions {
  readonly namespace?: string;
  readonly tenant?: string;
  readonly workload?: string;
  readonly container?: string;
  readonly since?: Date;
  readonly quiet: boolean;
}

/** `aeonctl backup ls` */
export function addLs(backup: Command, streams: CliStreams): void {
  const ls = addStoreOptions(
    backup
      .command("ls")
      .description("list backups, newest first")
      .option("-n, --namespace <namespace>", "only of containers in this containerd namespace")
      .option("--tenant <tenant>", "only of this tenant: the pod's namespace, or containerd's without a pod")
      .option(
        "-w, --workload <workload>",
        "only of this workload: its key, the pod's name, or the container's id",
      )
      .option("-c, --container <container>", "only of the container with this id or this name in its pod")
      .option("--since <time>", "only later ones: a time span such as 2h or 3d, or a time", (text: string) =>
        parseSince(text),
      )
      .option("-q, --quiet", "print only ids, one per line", false),
  ).action(async (options: ListOptions, self: Command) => {
    const views = hasStore(self) ? await fromStore(self, options) : await fromAgent(self, options, streams);
    await print(streams, self, views.filter(matches(options)), {
      table: hasStore(self) ? storedTable : backupTable,
      names: (all) => all.map(({ id }) => id),
    });
  });
  addExamples(ls, [
    ["aeonctl backup ls", "all backups"],
    ["aeonctl backup ls --container web --since 2d", "those of one container"],
    ["aeonctl backup ls --container web --quiet | head -1", "the id of its newest one"],
    ["aeonctl backup ls --store /mnt/store --tenant team-a", "in a store, without an agent"],
  ]);
}

/** The agent knows what is on its way, the store what its chains say of the rest. */
async function fromAgent(
  command: Command,
  options: ListOptions,
  { stderr }: CliStreams,
): Promise<readonly BackupView[]> {
  const views = await askAgent(command, async (agent) =>
    (await agent.listBackups({})).backups.map(backupView),
  );
  if (options.quiet || views.every(({ state }) => state !== "stored")) return views;
  try {
    const stored = new Map((await fromStore(command, options)).map((view) => [view.id, view]));
    return views.map((view) => withMarks(view, stored.get(view.id)));
  } catch (error) {
    stderr.write(`HEAD and pins are not known: ${printable(errorMessage(error))}\n`);
    return views;
  }
}

function withMarks(view: BackupView, stored: BackupView | undefined): BackupView {
  if (stored === undefined) return view;
  const { totalSize, node, seq, head, pinned } = stored;
  return { ...view, totalSize, node, seq, head, pinned };
}

const fromStore = (command: Command, options: ListOptions): Promise<readonly BackupView[]> =>
  withStore(command, async ({ store }, signal) => {
    const { listBackups } = await import("@aeon/rootfs-backup/inspect");
    const { tenant, workload } = options;
    const filter = {
      ...(tenant !== undefined && { tenant }),
      ...(tenant !== undefined && workload !== undefined && { workload }),
    };
    const list: BackupList = await listBackups(store, filter, signal);
    const [first] = list.damaged;
    if (first !== undefined)
      throw errors.STORE_DAMAGED(
        `${list.damaged.length} names in ${store.location} cannot be read, the first: ${first.key}; see aeonctl backup verify`,
        { cause: first.error, details: { key: first.key } },
      );
    return list.backups.map((backup) => storedBackupView(backup, store.location));
  });

const matches =
  ({ namespace, tenant, workload, container, since }: ListOptions) =>
  (view: BackupView): boolean =>
    (namespace === undefined || view.namespace === namespace) &&
    (tenant === undefined || view.tenant === tenant) &&
    (workload === undefined || view.workload === workload) &&
    (container === undefined || view.containerId === container || view.container === container) &&
    (since === undefined || (view.createdAt !== null && Date.parse(view.createdAt) >= since.getTime()));
