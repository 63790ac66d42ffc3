import { toAeonError } from "@aeon/core";
import { CommanderError } from "commander";
import type { CliStreams } from "./cli.ts";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";
import { printable } from "./format/printable.ts";
import { createProgram } from "./program.ts";

/** Runs one command line and returns the exit code; failures become one line on stderr. */
export async function run(args: readonly string[], streams: CliStreams): Promise<number> {
  const program = createProgram(streams);
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    // commander has said it already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const { code, reason, message } = toAeonError(error, "aeonctl");
    streams.stderr.write(`aeonctl: ${printable(message)} [${reason}]\n`);
    return exitCodeOf(code);
  }
}
