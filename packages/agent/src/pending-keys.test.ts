import { loadConfig } from "@aeon/core";
import { expect, test } from "vitest";
import { agentSchema, type AgentConfig } from "./config/agent-schema.ts";
import { pendingKeys } from "./pending-keys.ts";

const config = (flags: Record<string, string>): AgentConfig => loadConfig(agentSchema([]), { flags }).config;

test.each([
  [{}, []],
  [{ "log.level": "debug" }, []],
  [{ "log.format": "json" }, ["log.format"]],
  [{ root: "/x", "containerd.namespaces": "a" }, ["root", "containerd"]],
])("%j", (flags, keys) => {
  expect(pendingKeys(config({}), config(flags))).toEqual(keys);
});
