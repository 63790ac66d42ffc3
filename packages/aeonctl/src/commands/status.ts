import type { Command } from "commander";
import { addExamples, show, type CliStreams } from "../cli.ts";
import { statusTable, statusView } from "../views/status.ts";

/** `aeonctl status` */
export function addStatus(program: Command, streams: CliStreams): void {
  const command = program
    .command("status")
    .description("show whether the agent and its parts are well, and what they hold")
    .action((_options: unknown, self: Command) =>
      show(streams, self, {
        read: async (agent) => statusView(await agent.getStatus({}), new Date()),
        table: statusTable,
      }),
    );
  addExamples(command, [
    ["aeonctl status", "the agent on this host"],
    ["aeonctl status --output json", "the same for programs"],
  ]);
}
