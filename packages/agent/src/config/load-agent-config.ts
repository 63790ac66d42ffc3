import { loadConfig, peekConfig, variableOf, type ConfigSources } from "@aeon/core";
import * as v from "valibot";
import { builtinPlugins } from "../plugins/builtin-plugins.ts";
import { clusterPlugins } from "../plugins/cluster-plugins.ts";
import type { AgentConfiguration } from "./agent-configuration.ts";
import { agentSchema } from "./agent-schema.ts";
import { loadPlugin, missingPlugin } from "./load-plugins.ts";

/**
 * Reads the configuration, loads the packages it names and checks everything. Throws `CONFIG_UNREADABLE`,
 * `CONFIG_INVALID` or `PLUGIN_NAME_TAKEN`.
 */
export async function loadAgentConfig(sources: ConfigSources): Promise<AgentConfiguration> {
  const names = pluginNames(sources);
  const loaded = await Promise.all(names.map(loadPlugin));
  const failed = loaded.filter((result) => "error" in result);
  const known = [
    ...builtinPlugins,
    ...clusterPlugins,
    ...loaded.flatMap((result) => ("plugin" in result ? [result.plugin] : [])),
  ];
  const schema = agentSchema(known, failed.length > 0);
  const { config, entries } = loadConfig(schema, sources);
  const agent = v.parse(v.looseObject({}), config);
  return {
    agent: config,
    plugins: [
      ...known.map((plugin) => ({ plugin, config: agent[plugin.name] })),
      ...failed.map(({ name, error }) => ({ plugin: missingPlugin(name, error), config: undefined })),
    ],
    entries,
    failures: failed.map(({ error }) => error),
  };
}

/** The value of `plugins` before there is a schema; nonsense is left for the schema to refuse. */
function pluginNames(sources: ConfigSources): readonly string[] {
  const text = sources.flags?.["plugins"] ?? sources.environment?.[variableOf(["plugins"])];
  const list: unknown = text?.split(",").map((name) => name.trim()) ?? peekConfig(sources)["plugins"];
  if (!Array.isArray(list)) return [];
  return [...new Set(list.filter((name): name is string => typeof name === "string" && name !== ""))];
}
