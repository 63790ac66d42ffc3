import { absolutePath, logLevels, type Plugin } from "@aeon/core";
import * as v from "valibot";
import { errors } from "../errors.ts";
import { parseHttpAddress } from "../http/http-address.ts";

const isHttpAddress = (text: string): boolean => parseHttpAddress(text) !== undefined;

/** The tables that belong to the agent itself. */
const agentEntries = {
  version: v.optional(v.pipe(v.literal(1), v.description("version of this format")), 1),
  root: v.optional(v.pipe(absolutePath(), v.description("durable state")), "/var/lib/aeon"),
  state: v.optional(v.pipe(absolutePath(), v.description("sockets and other state of a run")), "/run/aeon"),
  plugins: v.optional(
    v.pipe(v.array(v.string()), v.description("further plugins, as npm package names")),
    [],
  ),
  log: v.optional(
    v.strictObject({
      level: v.optional(
        v.pipe(v.picklist(logLevels), v.description("least severe level that is written")),
        "info",
      ),
      format: v.optional(
        v.pipe(
          v.picklist(["auto", "json", "pretty"]),
          v.description("auto: pretty on a terminal, else json"),
        ),
        "auto",
      ),
    }),
    {},
  ),
  metrics: v.optional(
    v.strictObject({
      address: v.optional(
        v.pipe(
          v.string(),
          v.check(
            (text) => text === "" || isHttpAddress(text),
            'Expected host and port, such as "127.0.0.1:9464"',
          ),
          v.description(
            "/metrics, /healthz and /readyz; port 0 takes any free one, an empty text serves none",
          ),
        ),
        "127.0.0.1:9464",
      ),
    }),
    {},
  ),
  containerd: v.optional(
    v.strictObject({
      address: v.optional(
        v.pipe(absolutePath(), v.description("containerd's socket")),
        "/run/containerd/containerd.sock",
      ),
      namespaces: v.optional(
        v.pipe(
          v.array(v.pipe(v.string(), v.nonEmpty())),
          v.minLength(1),
          v.description('whose containers aeon looks after; ["*"] for all'),
        ),
        ["k8s.io"],
      ),
    }),
    {},
  ),
};

const agentTable = v.strictObject(agentEntries);

/** The agent's own part of the configuration. */
export type AgentConfig = v.InferOutput<typeof agentTable>;

/**
 * The schema of a whole configuration: the agent's tables and one for each plugin. `isLoose` tolerates unknown
 * tables, for when a plugin whose table it may be could not be loaded.
 */
export function agentSchema(plugins: readonly Plugin[], isLoose = false) {
  const tables: Record<string, v.GenericSchema> = {};
  for (const { name, config } of plugins) {
    if (Object.hasOwn(agentEntries, name) || Object.hasOwn(tables, name))
      throw errors.PLUGIN_NAME_TAKEN(`there are two plugins or tables named ${name}`, {
        details: { plugin: name },
      });
    // A table that may be absent stays absent.
    tables[name] = config.type === "optional" ? config : v.optional(config, {});
  }
  const entries = { ...agentEntries, ...tables };
  return isLoose ? v.looseObject(entries) : v.strictObject(entries);
}
