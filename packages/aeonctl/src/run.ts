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
    await program.parseAsync(completable(args), { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    // commander has said it already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const { code, reason, message } = toAeonError(error, "aeonctl");
    streams.stderr.write(`aeonctl: ${printable(message)} [${reason}]\n`);
    return exitCodeOf(code);
  }
}

/** The completion library knows commands by one name. */
function completable(args: readonly string[]): readonly string[] {
  if (args[0] !== "complete") return args;
  const alias = args.indexOf("backups");
  return alias === -1 ? args : args.with(alias, "backup");
}
