export * from "./admin/index.ts";
export {
  loadAgentConfig,
  type AgentConfiguration,
  type ConfiguredPlugin,
} from "./config/load-agent-config.ts";
export type { AgentConfig } from "./config/agent-schema.ts";
export { errors } from "./errors.ts";
export { startAgent, type Agent, type ReloadableLogger, type StartAgentOptions } from "./start-agent.ts";
export { version } from "./version.ts";
