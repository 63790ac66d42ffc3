import { duration } from "@aeon/core";
import { Command, InvalidArgumentError, Option } from "commander";
import * as v from "valibot";
import { version } from "../version.ts";
import { addHost } from "./host-commands.ts";
import { addImage } from "./image-commands.ts";
import { addConfigOptions, sourcesOf, type ConfigOptions } from "./config-options.ts";

interface AgentOptions extends ConfigOptions {
  readonly standIn?: number;
  readonly standInAfter?: number;
}

function timeSpan(text: string): number {
  const result = v.safeParse(duration(), text);
  if (!result.success) throw new InvalidArgumentError("Expected a time span, such as 2m.");
  return result.output;
}

/** The command line of `aeon`. Modules are loaded by the command that needs them. */
export function createProgram(): Command {
  const program = new Command("aeon")
    .description("Node agent that extends containerd: hookable snapshots and root file systems that persist.")
    .version(version)
    .showHelpAfterError("(see --help)");
  addConfigOptions(program.command("agent"))
    .description("run the agent until SIGTERM; SIGHUP and changes of the file reload the configuration")
    .option(
      "--stand-in <time>",
      "for an agent in a container: when it ends, another process stands in until the next one comes, for so long at most, such as 2m",
      timeSpan,
    )
    .addOption(
      new Option("--stand-in-after <pid>", "stand in for the agent of that process")
        .argParser(Number)
        .hideHelp(),
    )
    .action(async ({ standIn, standInAfter: after, ...options }: AgentOptions) => {
      const { runAgent } = await import("./run-agent.ts");
      await runAgent(sourcesOf(options), {
        ...(standIn !== undefined && { standIn }),
        ...(after !== undefined && { after }),
      });
    });
  const config = program.command("config").description("look at the configuration without running the agent");
  addConfigOptions(config.command("check"))
    .description("check the configuration and tell every fault")
    .action(async (options: ConfigOptions) => {
      const { checkConfig } = await import("./config-commands.ts");
      await checkConfig(sourcesOf(options));
    });
  addConfigOptions(config.command("print"))
    .description("print every key with its value and where that comes from, as TOML")
    .action(async (options: ConfigOptions) => {
      const { printEffectiveConfig } = await import("./config-commands.ts");
      await printEffectiveConfig(sourcesOf(options));
    });
  addHost(program);
  addImage(program);
  return program;
}
