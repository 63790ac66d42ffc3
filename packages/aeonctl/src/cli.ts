import type { Command } from "commander";
import { connectAgent, fromCall, type AdminClient } from "./client.ts";
import { render, type OutputFormat } from "./format/output.ts";
import { printable } from "./format/printable.ts";
import type { Style } from "./format/style.ts";

/** Where the command line writes; a process's own streams outside of tests. */
export interface CliStreams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Colours of stdout. */
  readonly style: Style;
}

/** Options that every command has. */
export interface CommonOptions {
  readonly address: string;
  readonly output: OutputFormat;
  /** Milliseconds a call may take; 0 for ever. */
  readonly timeout: number;
  /** Only on commands that list. */
  readonly quiet?: boolean;
}

/** What a command reads and how it is shown as a table. */
export interface Answer<Value> {
  readonly read: (agent: AdminClient) => Promise<Value>;
  readonly table: (value: Value, style: Style) => string;
  /** What `--quiet` prints, one per line, for commands that have it. */
  readonly names?: (value: Value) => readonly string[];
}

/** Asks the agent that the options name and prints the answer as they say. Throws AeonErrors. */
export async function show<Value>(
  streams: CliStreams,
  command: Command,
  { read, table, names }: Answer<Value>,
): Promise<void> {
  const { address, output, quiet, timeout } = command.optsWithGlobals<CommonOptions>();
  let value: Value;
  try {
    value = await read(connectAgent(address, timeout));
  } catch (error) {
    throw fromCall(error, address);
  }
  if (quiet === true && names !== undefined)
    streams.stdout.write(
      names(value)
        .map((name) => `${printable(name)}\n`)
        .join(""),
    );
  else streams.stdout.write(await render(value, output, table, streams.style));
}

/** Examples under a command's help: pairs of command line and meaning. */
export function addExamples(command: Command, examples: readonly (readonly [string, string])[]): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, meaning]) => `  ${line.padEnd(width)}  # ${meaning}`);
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}
