import { existsSync } from "node:fs";
import type { ConfigSources } from "@aeon/core";
import { InvalidArgumentError, type Command } from "commander";
import { environment } from "../environment.ts";

/** Where the configuration is when nobody says otherwise; it may be absent there. */
export const defaultConfigFile = "/etc/aeon/config.toml";

/** What the user said about the configuration. */
export interface ConfigOptions {
  readonly config?: string;
  readonly set?: Readonly<Record<string, string>>;
}

/** Adds `--config FILE` and `--set KEY=VALUE`. */
export function addConfigOptions(command: Command): Command {
  return command
    .option("-c, --config <file>", `configuration file (default: ${defaultConfigFile} if there is one)`)
    .option("-s, --set <key=value>", "set a configuration key, such as log.level=debug; repeatable", collect);
}

function collect(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const [, key, value] = /^([\w-]+(?:\.[\w-]+)*)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined)
    throw new InvalidArgumentError("Expected key=value, such as log.level=debug.");
  return { ...before, [key]: value };
}

export function sourcesOf({ config, set }: ConfigOptions): ConfigSources {
  const file = config ?? (existsSync(defaultConfigFile) ? defaultConfigFile : undefined);
  return { environment, ...(file !== undefined && { file }), ...(set !== undefined && { flags: set }) };
}
