import { admin } from "@aeon/proto";
import { Option, type Command } from "commander";
import { addExamples, show, type CliStreams } from "../cli.ts";
import { containerTable, containerView } from "../views/container.ts";
import { enumNames, enumValue } from "../views/enum-name.ts";

/** `aeonctl containers ls` */
export function addContainers(program: Command, streams: CliStreams): void {
  const containers = program.command("containers").description("look at the containers that aeon knows");
  const ls = containers
    .command("ls")
    .description("list containers, oldest first")
    .option("-n, --namespace <namespace>", "only this containerd namespace", "")
    .addOption(
      new Option("-s, --state <state...>", "only containers in these states")
        .choices(enumNames(admin.ContainerState))
        .default([], "all"),
    )
    .option("-q, --quiet", "print only ids, one per line", false)
    .action((options: { namespace: string; state: string[] }, self: Command) =>
      show(streams, self, {
        read: async (agent) => {
          const states = options.state.map((name) => enumValue(admin.ContainerState, name));
          const { containers: found } = await agent.listContainers({ namespace: options.namespace, states });
          return found.map(containerView);
        },
        table: containerTable,
        names: (views) => views.flatMap(({ id }) => id ?? []),
      }),
    );
  addExamples(ls, [
    ["aeonctl containers ls", "all containers"],
    ["aeonctl containers ls --namespace k8s.io", "those of Kubernetes"],
    ["aeonctl containers ls --state failed", "those that need attention"],
  ]);
}
