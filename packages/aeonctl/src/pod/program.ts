import { Command, Option } from "commander";
import { version } from "../version.ts";

/** Asks the agent and prints the answer. */
export type Ask = (
  service: string,
  action: string,
  params: Readonly<Record<string, unknown>>,
  options: CommonOptions,
) => Promise<void>;

export interface CommonOptions {
  readonly socket: string;
  readonly tokenFile?: string;
  readonly output: "table" | "json";
}

export const defaultSocket = "/run/aeon/container/container-service.sock";

/** The commands that a container has: those of the host, for the own pod only. */
export function podProgram(name: string, ask: Ask): Command {
  const program = new Command(name)
    .version(version, "-V, --version")
    .addOption(
      new Option("-s, --socket <socket>", "the container's socket to the agent")
        .env("AEON_CONTAINER_SOCKET")
        .default(defaultSocket),
    )
    .addOption(new Option("--token-file <file>", "the pod's ServiceAccount token").env("AEON_TOKEN_FILE"))
    .addOption(
      new Option("-o, --output <format>", "how to print answers").choices(["table", "json"]).default("table"),
    )
    .exitOverride();
  const add = (parent: Command, line: string, description: string, service: string, action: string) =>
    parent
      .command(line)
      .description(description)
      .action((...given: unknown[]) => {
        const self = given.at(-1);
        if (!(self instanceof Command)) throw new TypeError("commander gave no command");
        const names = self.registeredArguments.map((argument) => argument.name());
        const positional = Object.fromEntries(names.map((key, at) => [key, self.args[at]]));
        const params = Object.entries({ ...positional, ...self.opts() }).filter(
          ([, value]) => value !== undefined,
        );
        return ask(service, action, Object.fromEntries(params), program.opts<CommonOptions>());
      });
  if (name === "dockerctl") addDocker(program.description("Steers the Docker of this container."), add);
  else addAll(program.description("Asks the aeon agent of this node, for this pod."), add);
  return program;
}

type Add = (parent: Command, line: string, description: string, service: string, action: string) => Command;

function addDocker(parent: Command, add: Add): void {
  for (const [action, description] of [
    ["start", "start Docker for this container"],
    ["stop", "stop it, with the containers in it"],
    ["restart", "stop it and start it again"],
    ["status", "show whether it runs"],
    ["show-config", "show the configuration that is in force"],
  ] as const)
    add(parent, action, description, "docker", action);
}

function addAll(program: Command, add: Add): void {
  add(program, "info", "show who this container is to the agent, and what it may ask", "info", "show");
  add(program, "status", "show each container with its last backup", "backup", "status");
  const backup = program.command("backup").description("backups of this pod's changed files");
  const container = [
    "-c, --container <name>",
    "name of the container in the pod; this one when absent",
  ] as const;
  add(backup, "create", "take a backup now", "backup", "create")
    .option(...container)
    .option("-p, --pause", "make processes stand still while files are read")
    .option("-w, --wait", "wait until the backup is stored");
  add(backup, "ls", "list backups, newest first", "backup", "list").option(...container);
  add(backup, "status", "show each container with its last backup", "backup", "status");
  add(
    backup,
    "restore <backup>",
    "start a container that has not been started with a backup's files",
    "backup",
    "restore",
  ).option(...container);
  addDocker(program.command("docker").description("the Docker of this container"), add);
}
