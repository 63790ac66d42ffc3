import type { Command } from "commander";
import { connectAgent, connectDind, fromCall, type AdminClient, type DindClient } from "./client.ts";
import { isOutputFormat, render } from "./format/output.ts";
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
  /** A format, or the file of `backup export`. */
  readonly output: string;
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
  { read, ...shape }: Answer<Value>,
): Promise<void> {
  await print(streams, command, await askAgent(command, read), shape);
}

/** Asks the agent that the options name. Throws AeonErrors. */
export async function askAgent<Value>(
  command: Command,
  read: (agent: AdminClient) => Promise<Value>,
): Promise<Value> {
  const { address, timeout } = command.optsWithGlobals<CommonOptions>();
  try {
    return await read(connectAgent(address, timeout));
  } catch (error) {
    throw fromCall(error, address);
  }
}

/** Starting Docker takes longer than a look at something. */
const dindMs = 180_000;

/** As {@link askAgent}, of Docker in containers. */
export async function askDind<Value>(
  command: Command,
  read: (client: DindClient) => Promise<Value>,
): Promise<Value> {
  const { address, timeout } = command.optsWithGlobals<CommonOptions>();
  try {
    return await read(connectDind(address, timeout === 0 ? 0 : Math.max(timeout, dindMs)));
  } catch (error) {
    throw fromCall(error, address);
  }
}

/** Prints a value as the options say. */
export async function print<Value>(
  { stdout, style }: CliStreams,
  command: Command,
  value: Value,
  { table, names }: Omit<Answer<Value>, "read">,
): Promise<void> {
  const { output: wanted, quiet } = command.optsWithGlobals<CommonOptions>();
  const output = isOutputFormat(wanted) ? wanted : "table";
  const listed = quiet === true ? names?.(value) : undefined;
  stdout.write(
    listed === undefined
      ? await render(value, output, table, style)
      : listed.map((name) => `${printable(name)}\n`).join(""),
  );
}

/** Examples under a command's help: pairs of command line and meaning. */
export function addExamples(command: Command, examples: readonly (readonly [string, string])[]): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, meaning]) => `  ${line.padEnd(width)}  # ${meaning}`);
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}
