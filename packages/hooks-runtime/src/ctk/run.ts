import { errorMessage, isAeonError } from "@aeon/core";
import { CommanderError } from "commander";
import { logLine } from "../runtime/runtime-log.ts";
import { ctkProgram, type ProgramEdge } from "./program.ts";

/** As urfave/cli has it: 3 for a command that does not exist, 1 for any other failure. */
const unknownCommand = 3;

/** Runs a command line and answers the exit code. */
export async function runCtk(args: readonly string[], edge: ProgramEdge): Promise<number> {
  try {
    await ctkProgram(edge).parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    // commander has said already what is wrong.
    if (error instanceof CommanderError) return exitCodeOf(error);
    const message = isAeonError(error) ? `${error.reason}: ${error.message}` : errorMessage(error);
    for (const line of message.split("\n")) edge.complain(`${logLine("text", "error", line)}\n`);
    return 1;
  }
}

function exitCodeOf({ code, exitCode }: CommanderError): number {
  if (code === "commander.unknownCommand") return unknownCommand;
  return exitCode === 0 || code === "commander.help" ? 0 : 1;
}
