import { errorMessage, isAeonError } from "@aeon/core";
import { createProgram } from "./cli/program.ts";
import { preferLittleMemory } from "./v8-settings.ts";

preferLittleMemory();
try {
  await createProgram().parseAsync();
} catch (error) {
  const text = isAeonError(error) ? `${error.reason}: ${error.message}` : stackOf(error);
  process.stderr.write(`aeon: ${text}\n`);
  process.exitCode = 1;
}

/** Only an unexpected error needs its stack. */
function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : errorMessage(error);
}
