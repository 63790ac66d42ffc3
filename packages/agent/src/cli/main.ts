import { errorMessage, isAeonError } from "@aeon/core";
import { createProgram } from "./program.ts";

/** Runs the command of the arguments; a failure is one line and exit code 1. */
export async function main(): Promise<void> {
  try {
    await createProgram().parseAsync();
  } catch (error) {
    const text = isAeonError(error) ? `${error.reason}: ${error.message}` : stackOf(error);
    process.stderr.write(`aeon: ${text}\n`);
    process.exitCode = 1;
  }
}

/** Only an unexpected error needs its stack. */
function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : errorMessage(error);
}
