import { Command, CommanderError, Option } from "commander";
import { isAbsolute } from "node:path";
import { toolkitPaths } from "../toolkit/toolkit-paths.ts";
import { knownFacts, type ContainerFacts } from "../rules/container-facts.ts";
import { writeConfig } from "./config-command.ts";
import type { CtkContext } from "./context.ts";
import { ctkLog } from "./ctk-log.ts";
import { applyHooks, bundleFacts, explainHooks, listHooks, validateHooks } from "./hooks-command.ts";
import { hooksLog, hooksStatus, type LogOptions } from "./runs-command.ts";
import { install, isInstalled, refreshLauncher, uninstall } from "./install-command.ts";
import { configureRuntime, engines, unconfigureRuntime, type RuntimeOptions } from "./runtime-command.ts";

/** What the program gets from its process. */
export interface ProgramEdge {
  readonly node: string;
  /** Folder of the running program: what `install` copies when it is not told otherwise. */
  readonly folder: string;
  readonly searchPath: string;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

interface GlobalOptions {
  readonly quiet?: boolean;
  readonly prefix: string;
}

/** The command line of `container-hooks-ctk`; it rejects with what failed. */
export function ctkProgram(edge: ProgramEdge): Command {
  const program = new Command("container-hooks-ctk")
    .description("Tools to configure the container hooks runtime")
    .option("-d, --debug", "say more")
    .option("-q, --quiet", "say nothing but errors")
    .addOption(new Option("--prefix <folder>", "folder below which everything is done").default("/"))
    .exitOverride()
    .configureOutput({ writeOut: edge.print, writeErr: edge.complain });
  const context = (): CtkContext => {
    const { prefix } = program.opts<GlobalOptions>();
    if (!isAbsolute(prefix)) throw new CommanderError(1, "prefix", "--prefix has to be an absolute path");
    const log = ctkLog(() => program.opts<GlobalOptions>().quiet === true, edge.complain);
    return { prefix, paths: toolkitPaths(prefix), log, print: edge.print, searchPath: edge.searchPath };
  };
  addRuntime(program, context);
  addConfig(program, context, edge);
  addInstall(program, context, edge);
  addHooks(program, context);
  return program;
}

const collect = (value: string, values: readonly string[] = []): readonly string[] => [...values, value];

const shared = (command: Command): Command =>
  command
    .option("--runtime <engine>", `engine: ${Object.keys(engines).join(", ")}`, "docker")
    .option("--config-file <file>", "configuration of the engine; its usual one when absent")
    .option("--name <name>", "name of the runtime", "container-hooks-runtime")
    .option("--dry-run", "print the change as a diff and change nothing");

function addRuntime(program: Command, context: () => CtkContext): void {
  const runtime = program
    .command("runtime")
    .description("add the container hooks runtime to engines, or remove it");
  shared(runtime.command("configure"))
    .description("add the runtime to an engine's configuration")
    .option("--path <path>", "path of the runtime", "/usr/bin/container-hooks-runtime")
    .option("--set-as-default, --default", "make it the default runtime")
    .option("--in-place", "change the main configuration rather than a file beside it")
    .option("--containerd <program>", "containerd to check the result with; the one in PATH when absent")
    .action(async (options: RuntimeOptions & { default?: boolean }) =>
      configureRuntime({ ...options, setAsDefault: options.default === true }, context()),
    );
  shared(runtime.command("unconfigure"))
    .description("take the runtime out of an engine's configuration")
    .action(async (options: Omit<RuntimeOptions, "path">) =>
      unconfigureRuntime({ ...options, path: "/" }, context()),
    );
}

function addConfig(program: Command, context: () => CtkContext, { node }: ProgramEdge): void {
  program
    .command("config")
    .description("write the toolkit's configuration file and change values in it")
    .option("--set <key=value>", "set table.key; lists are separated by commas; can be repeated", collect)
    .action(async ({ set = [] }: { set?: readonly string[] }) => {
      const current = context();
      await writeConfig(set, current);
      if (await isInstalled(current)) await refreshLauncher(node, current);
    });
}

function addInstall(program: Command, context: () => CtkContext, { node, folder }: ProgramEdge): void {
  program
    .command("install")
    .description("install the toolkit below /usr")
    .option("--toolkit-root <folder>", "folder that holds the toolkit", folder)
    .option("--node <program>", "Node that runs it", node)
    .action(async (options: { toolkitRoot: string; node: string }) => install(options, context()));
  program
    .command("uninstall")
    .description("remove what install wrote; configuration and rules stay")
    .action(async () => uninstall(context()));
}

interface ExplainOptions {
  readonly bundle?: string;
  readonly json?: boolean;
  readonly namespace?: string;
  readonly pod?: string;
  readonly container?: string;
  readonly image?: string;
  readonly command?: string;
  readonly runtimeHandler?: string;
  readonly role?: "container" | "sandbox";
  readonly annotation?: readonly string[];
  readonly label?: readonly string[];
  readonly bindMounts?: boolean;
}

function addHooks(program: Command, context: () => CtkContext): void {
  const hooks = program.command("hooks").description("look at the rules");
  addRuns(hooks, context);
  hooks
    .command("validate [file]")
    .description("check the rules in force, or a file in the form of hooks.json")
    .action(async (file: string | undefined) => validateHooks(file, context()));
  hooks
    .command("list")
    .description("list the rules in their order")
    .option("--json", "as JSON")
    .action(async ({ json = false }: { json?: boolean }) => listHooks(json, context()));
  hooks
    .command("apply")
    .description("check the rules and put them into force at once")
    .action(async () => applyHooks(context()));
  hooks
    .command("explain")
    .description("tell which rules a container would get, and why")
    .option("--bundle <folder>", "take the container from the config.json of a bundle")
    .option("--namespace <name>")
    .option("--pod <name>")
    .option("--container <name>")
    .option("--image <name>")
    .option("--command <word>")
    .option("--runtime-handler <name>")
    .addOption(new Option("--role <role>").choices(["container", "sandbox"]))
    .option("--annotation <key=value>", "can be repeated", collect)
    .option("--label <key=value>", "can be repeated", collect)
    .option("--bind-mounts", "the container has bind mounts")
    .option("--no-bind-mounts", "the container has no bind mounts")
    .option("--json", "as JSON")
    .action(async (options: ExplainOptions) =>
      explainHooks(await factsOf(options), options.json === true, context()),
    );
}

function addRuns(hooks: Command, context: () => CtkContext): void {
  hooks
    .command("log")
    .description("show how hooks ran, the latest last: those of rules that record")
    .option("--rule <name>", "only of this rule")
    .option("--container <id>", "only of this container")
    .option("--failed", "only those that failed")
    .option("--last <count>", "at most so many", "20")
    .option("--json", "as JSON")
    .action(async (options: LogOptions) => hooksLog(options, context()));
  hooks
    .command("status")
    .description("sum up the recorded runs of each hook")
    .option("--json", "as JSON")
    .action(async ({ json = false }: { json?: boolean }) => hooksStatus(json, context()));
}

async function factsOf({
  bundle,
  annotation,
  label,
  bindMounts,
  ...rest
}: ExplainOptions): Promise<ContainerFacts> {
  const given = knownFacts({
    ...rest,
    annotations: annotation && pairsOf(annotation),
    labels: label && pairsOf(label),
    hasBindMounts: bindMounts,
  });
  return bundle === undefined ? given : { ...(await bundleFacts(bundle)), ...given };
}

const pairsOf = (pairs: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(pairs.map((pair) => [pair.split("=", 1)[0] ?? "", pair.slice(pair.indexOf("=") + 1)]));
