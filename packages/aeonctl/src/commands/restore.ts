import type { Command } from "commander";
import { addExamples, show, type CliStreams } from "../cli.ts";
import { errors } from "../errors.ts";
import { restoreTable, restoreView } from "../views/restore.ts";

/** `aeonctl restore` and `aeonctl restores ls` */
export function addRestores(program: Command, streams: CliStreams): void {
  const restore = program
    .command("restore")
    .description("let a container that has not started yet start with the files of a backup")
    .argument("<backup>", "id of the backup")
    .requiredOption("-c, --container <id>", "id that the new container will have")
    .option("-n, --namespace <namespace>", "containerd namespace of the new container", "default")
    .action((backupId: string, options: { container: string; namespace: string }, self: Command) =>
      show(streams, self, {
        read: async (agent) => {
          const { namespace, container: containerId } = options;
          const reply = await agent.requestRestore({ backupId, namespace, containerId });
          if (reply.restore === undefined)
            throw errors.AGENT_FOREIGN(
              "the agent answered without the restore; use an aeonctl of its version",
            );
          return restoreView(reply.restore);
        },
        table: (view, style) => restoreTable([view], style),
      }),
    );
  addExamples(restore, [
    ["aeonctl restore BACKUP --container web", "then start the container web"],
    ["aeonctl restore BACKUP -c web -n k8s.io", "in another containerd namespace"],
  ]);

  const restores = program.command("restores").description("look at restores that were asked for");
  const ls = restores
    .command("ls")
    .description("list restores, newest first")
    .option("--pending", "only those that wait for their container", false)
    .action((options: { pending: boolean }, self: Command) =>
      show(streams, self, {
        read: async (agent) =>
          (await agent.listRestores({ pending: options.pending })).restores.map(restoreView),
        table: restoreTable,
      }),
    );
  addExamples(ls, [
    ["aeonctl restores ls", "all of them"],
    ["aeonctl restores ls --pending", "those that wait for their container"],
  ]);
}
