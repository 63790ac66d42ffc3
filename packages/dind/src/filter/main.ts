import { runFilter } from "./run-filter.ts";

// FILE [--listeners 3,4]
const [file, option, list = ""] = process.argv.slice(2);
process.on("SIGHUP", () => undefined);
if (file === undefined) {
  process.stderr.write("dind-filter: name a configuration file\n");
  process.exitCode = 2;
} else {
  await runFilter(file, option === "--listeners" ? list.split(",").map(Number) : undefined);
  process.exit(0);
}
