#!/usr/bin/env node
import { CommanderError } from "commander";
import { exitCodes } from "../exit-codes.ts";
import { kubectlProgram } from "./program.ts";
import { runKubectl } from "./run-kubectl.ts";

// Called as `kubectl aeon`: kubectl runs what is named kubectl-aeon in PATH, and this runs kubectl again.
try {
  await kubectlProgram(runKubectl).parseAsync(process.argv.slice(2), { from: "user" });
} catch (error) {
  if (error instanceof CommanderError)
    process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  else {
    process.stderr.write(`kubectl aeon: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = exitCodes.failure;
  }
}
