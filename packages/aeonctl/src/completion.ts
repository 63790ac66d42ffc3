import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import { bashCompletion } from "./bash-completion.ts";
import { addExamples, type CliStreams, type CommonOptions } from "./cli.ts";
import { connectAgent, type AdminClient } from "./client.ts";
import { printable } from "./format/printable.ts";
import { collect } from "./commands/collect.ts";

type Names = (agent: AdminClient) => Promise<readonly (readonly [value: string, description: string])[]>;

/** Words that mean the same to every shell without quotes; others are not suggested, because shells may run them. */
const plainWord = /^[\w@%+,./:-]+$/;

/** Milliseconds that a shell waits for names from the agent; a slow agent means no suggestions. */
const timeoutMs = 500;

const backups: Names = async (agent) =>
  (await agent.listBackups({})).backups.map(({ id, containerId }) => [id, containerId]);

const snapshots: Names = async (agent) => {
  const batches = await collect(agent.listSnapshots({}));
  return batches.flatMap((batch) => batch.snapshots.map(({ name }) => [name, ""] as const));
};

/** Arguments whose values the agent knows, by command and argument. */
const fromAgent: readonly (readonly [command: string, argument: string, names: Names])[] = [
  ...["show", "wait", "files", "cat", "diff", "verify", "export", "pin", "unpin", "rm"].map(
    (verb) => [`backup ${verb}`, "backup", backups] as const,
  ),
  ["restore", "backup", backups],
  ["snapshots usage", "name", snapshots],
];

/** Adds `aeonctl completion <shell>` and the hidden command by which those scripts ask for suggestions. */
export function addCompletion(program: Command, { stdout }: CliStreams): void {
  const completions = tab(program, { completionCommandName: "completion" });
  // The common options belong to the program, and may stand after any command.
  const common = [...completions.options.values()];
  for (const command of completions.commands.values())
    for (const { value, description, handler, alias } of common)
      if (handler === undefined) command.option(value, description, alias);
      else command.option(value, description, handler, alias);

  const script = program.commands.find((command) => command.name() === "completion");
  if (script === undefined) throw new Error("the completion library added no command completion");
  script.description("print the completion script of a shell").action((shell: string) => {
    if (shell === "bash") stdout.write(bashCompletion);
    else completions.setup(program.name(), program.name(), shell);
  });
  addExamples(script, [
    ["source <(aeonctl completion bash)", "in this shell; in ~/.bashrc for all"],
    ["aeonctl completion zsh > ~/.zfunc/_aeonctl", "zsh, with ~/.zfunc in fpath"],
    ["aeonctl completion fish | source", "fish"],
  ]);

  // The library asks for values synchronously, so they have to be there before it runs.
  program.hook("preAction", async (root, command) => {
    if (command.name() !== "complete") return;
    const words = command.args.slice(0, -1);
    const wanted = fromAgent.find(([name]) => isWithin(words, name.split(" ")));
    const argument = wanted && completions.commands.get(wanted[0])?.arguments.get(wanted[1]);
    if (wanted === undefined || argument === undefined) return;
    const values = await wanted[2](
      connectAgent(addressOf(words, root.opts<CommonOptions>().address), timeoutMs),
    ).catch(
      // Somebody pressed Tab: without an agent there is nothing to suggest, and no place for a message.
      () => [],
    );
    const safe = values.filter(([value]) => plainWord.test(value));
    argument.handler = (complete) =>
      safe.forEach(([value, description]) => complete(value, printable(description)));
  });
}

const isWithin = (words: readonly string[], path: readonly string[]): boolean =>
  path.every((part, index) => words.filter((word) => !word.startsWith("-"))[index] === part);

/** The socket on the line that is being completed. */
function addressOf(words: readonly string[], otherwise: string): string {
  const inline = words.find((word) => word.startsWith("--address="));
  if (inline !== undefined) return inline.slice("--address=".length);
  const flag = words.findIndex((word) => word === "--address" || word === "-a");
  return (flag === -1 ? undefined : words[flag + 1]) ?? otherwise;
}
