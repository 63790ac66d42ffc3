export * from "./admin/index.ts";
export type { AgentConfiguration, ConfiguredPlugin } from "./config/agent-configuration.ts";
export { loadAgentConfig } from "./config/load-agent-config.ts";
export type { AgentConfig } from "./config/agent-schema.ts";
export { errors } from "./errors.ts";
export { startAgent, type Agent, type ReloadableLogger, type StartAgentOptions } from "./start-agent.ts";
export { version } from "./version.ts";
