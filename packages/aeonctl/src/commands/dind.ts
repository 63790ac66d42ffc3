import type { dind } from "@aeon/proto";
import type { Command } from "commander";
import { addExamples, askDind, print, type CliStreams } from "../cli.ts";
import type { DindClient } from "../client.ts";
import { errors } from "../errors.ts";
import { dindSettingTable, dindSettingView, dindTable, dindView, type DindView } from "../views/dind.ts";
import { addDindImage } from "./dind-image.ts";

const names = (views: readonly DindView[]): readonly string[] => views.map(({ container }) => container);

interface MainOptions {
  readonly namespace: string;
}

type Reply = { readonly dind?: dind.Dind | undefined };

/** `aeonctl dind ls|status|start|stop|restart|show-config|image` */
export function addDind(program: Command, streams: CliStreams): void {
  const group = program.command("dind").description("Docker in containers: look at it, start and stop it");
  const ls = group
    .command("ls")
    .description("list containers that have Docker, and how it does")
    .option("-q, --quiet", "print only ids of the containers, one per line", false)
    .action(async (_options: object, self: Command) => {
      const { dinds } = await askDind(self, (client) => client.listDinds({}));
      await print(streams, self, dinds.map(dindView), { table: dindTable, names });
    });
  addExamples(ls, [["aeonctl dind ls", "all of them"]]);

  addCall(group, streams, {
    name: "status",
    description: "say how Docker does in a container, and why",
    call: (client, main) => client.getDind({ main }),
  });
  addCall(group, streams, {
    name: "start",
    description: "give a running container Docker, and wait until it serves",
    call: (client, main) => client.startDind({ main }),
  });
  addCall(group, streams, {
    name: "stop",
    description: "take Docker away; images and volumes stay until the container goes",
    call: (client, main) => client.stopDind({ main }),
  });
  addCall(group, streams, {
    name: "restart",
    description: "stop and start Docker in a container",
    call: (client, main) => client.restartDind({ main }),
  });

  const config = withNamespace(group.command("show-config"))
    .description("print the settings of Docker in a container and where each comes from")
    .action(async (id: string, { namespace }: MainOptions, self: Command) => {
      const main = { namespace, containerId: id };
      const { settings } = await askDind(self, (client) => client.showDindConfig({ main }));
      await print(streams, self, settings.map(dindSettingView), { table: dindSettingTable });
    });
  addExamples(config, [["aeonctl dind show-config web", "of the container web"]]);
  addDindImage(group, streams);
}

const withNamespace = (command: Command): Command =>
  command
    .argument("<container>", "id of the container")
    .option("-n, --namespace <namespace>", "its containerd namespace", "default");

function addCall(
  group: Command,
  streams: CliStreams,
  how: {
    readonly name: string;
    readonly description: string;
    readonly call: (client: DindClient, main: { namespace: string; containerId: string }) => Promise<Reply>;
  },
): void {
  const command = withNamespace(group.command(how.name))
    .description(how.description)
    .action(async (id: string, { namespace }: MainOptions, self: Command) => {
      const reply = await askDind(self, (client) => how.call(client, { namespace, containerId: id }));
      if (reply.dind === undefined)
        throw errors.AGENT_FOREIGN("the agent answered without a state; use an aeonctl of its version");
      await print(streams, self, dindView(reply.dind), { table: (view, style) => dindTable([view], style) });
    });
  addExamples(command, [
    [`aeonctl dind ${how.name} web`, "of the container web"],
    [`aeonctl dind ${how.name} -n k8s.io ID`, "in another containerd namespace"],
  ]);
}
