import { writeSync } from "node:fs";
import { runCtk } from "./run.ts";

process.exitCode = await runCtk(process.argv.slice(2), {
  node: process.execPath,
  folder: import.meta.dirname,
  // oxlint-disable-next-line node/no-process-env -- the edge of the program
  searchPath: process.env["PATH"] ?? "",
  print: (text) => void (text === "" || writeSync(1, text)),
  complain: (text) => void writeSync(2, text),
});
