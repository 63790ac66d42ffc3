import { writeSync } from "node:fs";
import { errorMessage, isAeonError } from "@aeon/core";
import { toolkitPaths } from "../toolkit/toolkit-paths.ts";
import { injectHooks } from "./inject.ts";
import { logLine } from "./runtime-log.ts";

/** The launcher understands 3 as: refused, and standard output is the line for the runtime's log. */
const refused = 3;

// Started by the launcher in the bundle's folder: PREFIX inject PLAN FORMAT.
const [prefix = "/", , kind, format = "text"] = process.argv.slice(2);
try {
  await injectHooks(toolkitPaths(prefix), kind === "stale");
} catch (error) {
  const message = `container-hooks: ${isAeonError(error) ? `${error.reason}: ` : ""}${errorMessage(error)}`;
  // Written without process.stdout, which would make pipes non-blocking for whoever shares them.
  writeSync(1, `${logLine(format, "error", message)}\n`);
  process.exitCode = refused;
  complain(message);
}

/** containerd gives the runtime of a pod's sandbox a standard error that nothing can be written to. */
function complain(message: string): void {
  try {
    writeSync(2, `${message}\n`);
  } catch {
    // The line above is shown.
  }
}
