import type { BackupList } from "@aeon/rootfs-backup/inspect";
import type { Command } from "commander";
import { addStoreOptions, hasStore, withStore } from "../../catalog.ts";
import { addExamples, askAgent, print, type CliStreams } from "../../cli.ts";
import { errors } from "../../errors.ts";
import { parseSince } from "../../format/since.ts";
import { backupTable, backupView, type BackupView } from "../../views/backup.ts";
import { storedBackupView } from "../../views/stored-backup.ts";

interface ListOptions {
  readonly namespace?: string;
  readonly tenant?: string;
  readonly workload?: string;
  readonly container?: string;
  readonly since?: Date;
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
    const views = hasStore(self) ? await fromStore(self, options) : await fromAgent(self);
    await print(streams, self, views.filter(matches(options)), {
      table: backupTable,
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

const fromAgent = (command: Command): Promise<readonly BackupView[]> =>
  askAgent(command, async (agent) => (await agent.listBackups({})).backups.map(backupView));

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
