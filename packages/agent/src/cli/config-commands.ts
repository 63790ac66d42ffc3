import { errorMessage, printConfig, type ConfigSources } from "@aeon/core";
import { loadAgentConfig } from "../config/load-agent-config.ts";

/** Checks a configuration; throws its faults. */
export async function checkConfig(sources: ConfigSources): Promise<void> {
  const { failures } = await loadAgentConfig(sources);
  for (const failure of failures) process.stderr.write(`${errorMessage(failure)}\n`);
  if (failures.length > 0) process.exitCode = 1;
  else process.stdout.write(`${sources.file ?? "the default configuration"} is fine\n`);
}

/** Prints the configuration that results from all sources. */
export async function printEffectiveConfig(sources: ConfigSources): Promise<void> {
  const { entries } = await loadAgentConfig(sources);
  process.stdout.write(printConfig(entries));
}
