import { pathToFileURL } from "node:url";
import { errorMessage, type Plugin } from "@aeon/core";
import * as v from "valibot";
import { errors } from "../errors.ts";

/** A plugin, or why the package has none. */
export type LoadedPlugin = { readonly plugin: Plugin } | { readonly name: string; readonly error: unknown };

const pluginShape = v.looseObject({
  name: v.pipe(
    v.string(),
    v.regex(/^[a-z][a-z0-9-]{0,62}$/, "a name of lower-case letters, digits and dashes"),
  ),
  config: v.looseObject({ kind: v.literal("schema"), async: v.literal(false) }),
  start: v.function(),
});

/** Imports a plugin's package: its default export, or an export named `plugin`. Never rejects. */
export async function loadPlugin(name: string): Promise<LoadedPlugin> {
  try {
    const module: unknown = await import(name.startsWith("/") ? pathToFileURL(name).href : name);
    return { plugin: pluginOf(module) };
  } catch (error) {
    const message = `plugin package ${name} cannot be used: ${errorMessage(error)}`;
    return { name, error: errors.PLUGIN_UNKNOWN(message, { cause: error, details: { plugin: name } }) };
  }
}

function pluginOf(module: unknown): Plugin {
  const { default: byDefault, plugin } = v.parse(v.looseObject({}), module);
  const candidate = byDefault ?? plugin;
  const checked = v.safeParse(pluginShape, candidate);
  if (isPlugin(candidate, checked.success)) return candidate;
  throw new TypeError(`its export is no plugin: ${checked.issues?.map(({ message }) => message).join("; ")}`);
}

/** The shape was checked; what the functions do can only be seen by calling them. */
const isPlugin = (_candidate: unknown, hasShape: boolean): _candidate is Plugin => hasShape;

/** Stands for a package that could not be loaded: fails at each start, so that /readyz and the log tell. */
export function missingPlugin(name: string, error: unknown): Plugin {
  return {
    name: name.replaceAll(/[^A-Za-z0-9.-]+/g, "-").replace(/^-+/, ""),
    config: v.unknown(),
    async start(context) {
      const loaded = await loadPlugin(name);
      // A package that appears later needs its table checked, which only happens at the agent's start.
      if ("plugin" in loaded) context.log.warn({ package: name }, "restart the agent to use the plugin");
      throw error;
    },
  };
}
