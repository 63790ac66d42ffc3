import { bool, filters, omitted, time, words } from "../schema/query.ts";
import { get, route, type Route } from "./route.ts";

/** Swarm's resources: reading says what an engine without a swarm says, anything else is denied. */
const swarm = ["swarm", "services", "tasks", "nodes", "secrets", "configs"];
const anything = { query: {}, local: "denied" } as const;

export const systemRoutes: readonly Route[] = [
  route("SystemPing", ["GET", "HEAD"], "_ping"),
  route("SystemVersion", get, "version"),
  route("SystemInfo", get, "info"),
  route("SystemEvents", get, "events", { query: { since: time, until: time, filters }, answer: "paths" }),
  route("SystemDataUsage", get, "system/df", {
    query: { type: { check: words(/^[a-z-]*$/), many: true }, verbose: bool },
    answer: "paths",
  }),
  route("PluginList", get, "plugins", { query: { filters } }),
  ...swarm.flatMap((path) => [
    route("SwarmRead", get, path, {
      query: { filters, insertDefaults: omitted, status: omitted },
      local: "not-a-manager",
    }),
    route("SwarmRead", get, `${path}/{id}`, { query: { insertDefaults: omitted }, local: "not-a-manager" }),
    route("SwarmWrite", ["POST", "PUT", "DELETE"], path, anything),
    route("SwarmWrite", ["POST", "PUT", "DELETE"], `${path}/{rest…}`, anything),
  ]),
  route("PluginWrite", ["GET", "POST", "DELETE"], "plugins/{rest…}", anything),
];
