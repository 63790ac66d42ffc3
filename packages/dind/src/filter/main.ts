import { runFilter } from "./run-filter.ts";

// FILE [--listeners 3,4]
const [file, option, list = ""] = process.argv.slice(2);
process.on("SIGHUP", () => undefined);
if (file === undefined) {
  process.stderr.write("dind-filter: name a configuration file\n");
  process.exitCode = 2;
} else void run(file, option === "--listeners" ? list.split(",").map(Number) : undefined);

/** Not at the top of the module: as a classic script the bundle takes 8 MB less than as a module. */
async function run(config: string, listeners: readonly number[] | undefined): Promise<void> {
  try {
    await runFilter(config, listeners);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`dind-filter: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  }
}
