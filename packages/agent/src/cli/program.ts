import { Command } from "commander";
import { version } from "../version.ts";
import { addHost } from "./host-commands.ts";
import { addImage } from "./image-commands.ts";
import { addConfigOptions, sourcesOf, type ConfigOptions } from "./config-options.ts";

/** The command line of `aeon`. Modules are loaded by the command that needs them. */
export function createProgram(): Command {
  const program = new Command("aeon")
    .description("Node agent that extends containerd: hookable snapshots and root file systems that persist.")
    .version(version)
    .showHelpAfterError("(see --help)");
  addConfigOptions(program.command("agent"))
    .description("run the agent until SIGTERM; SIGHUP and changes of the file reload the configuration")
    .action(async (options: ConfigOptions) => {
      const { runAgent } = await import("./run-agent.ts");
      await runAgent(sourcesOf(options));
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
