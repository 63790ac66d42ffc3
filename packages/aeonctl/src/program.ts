import { Command, InvalidArgumentError, Option } from "commander";
import type { CliStreams } from "./cli.ts";
import { addBackup } from "./commands/backup.ts";
import { addContainers } from "./commands/containers.ts";
import { addDind } from "./commands/dind.ts";
import { addHooks } from "./commands/hooks.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addRestores } from "./commands/restore.ts";
import { addSnapshots } from "./commands/snapshots.ts";
import { addStatus } from "./commands/status.ts";
import { addCompletion } from "./completion.ts";
import { exitCodeMeanings } from "./exit-codes.ts";
import { isOutputFormat, outputFormats } from "./format/output.ts";
import { version } from "./version.ts";

/** Where the agent listens unless it is told otherwise. */
export const defaultAddress = "/run/aeon/admin.sock";

const exitCodeHelp = exitCodeMeanings
  .map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`)
  .join("\n");

/** The commands of `aeonctl`. Nothing is printed, connected or exited until it is parsed. */
export function createProgram(streams: CliStreams): Command {
  const program = new Command("aeonctl")
    .description("Looks at and steers the aeon agent on this host.")
    .version(version, "-V, --version", "print the version of aeonctl")
    .addOption(
      new Option("-a, --address <socket>", "admin socket of the agent")
        .env("AEON_ADDRESS")
        .default(defaultAddress),
    )
    .addOption(
      new Option("-o, --output <format>", "how to print answers")
        .choices(outputFormats)
        .argParser((text: string) => text)
        .default("table"),
    )
    .addOption(
      new Option("-t, --timeout <seconds>", "how long to wait for an answer; 0 for ever")
        .argParser(milliseconds)
        .default(30_000, "30"),
    )
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text),
      outputError: (text, write) => write(oneLine(text)),
    })
    .exitOverride()
    .addHelpText("after", `\nExit codes:\n${exitCodeHelp}`);
  addStatus(program, streams);
  addSnapshots(program, streams);
  addContainers(program, streams);
  addBackup(program, streams);
  addRestores(program, streams);
  addDind(program, streams);
  addHooks(program, streams);
  addDoctor(program, streams);
  addCompletion(program, streams);
  program.hook("preAction", (_root, command) => checkOutput(command));
  return program;
}

/** The file of `backup export` may be given as its output, as other programs call it; formats are known then too. */
function checkOutput(command: Command): void {
  const { output } = command.optsWithGlobals<{ output: string }>();
  if (isOutputFormat(output) || command.name() === "export") return;
  command.error(
    `error: option '-o, --output <format>' argument '${output}' is invalid. Allowed choices are ${outputFormats.join(", ")}.`,
  );
}

function milliseconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === "" || !(seconds >= 0 && seconds <= longestTimeout))
    throw new InvalidArgumentError(`Expected seconds between 0 and ${longestTimeout}.`);
  return Math.round(seconds * 1000);
}

/** Seconds: a day. */
const longestTimeout = 86_400;

/** commander's `error: …` (with its guess on a second line) as one line that says where help is. */
const oneLine = (text: string): string =>
  `aeonctl: ${text
    .replace(/^error: /, "")
    .trim()
    .replaceAll(/\s*\n\s*/g, " ")}; see aeonctl --help\n`;
