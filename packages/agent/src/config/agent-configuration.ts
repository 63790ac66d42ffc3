import type { ConfigEntry, Plugin } from "@aeon/core";
import type { AgentConfig } from "./agent-schema.ts";

/** A plugin together with its checked table. */
export interface ConfiguredPlugin {
  readonly plugin: Plugin;
  readonly config: unknown;
}

/** A checked configuration and the plugins it is for. */
export interface AgentConfiguration {
  readonly agent: AgentConfig;
  readonly plugins: readonly ConfiguredPlugin[];
  /** Every key with its value and origin. */
  readonly entries: readonly ConfigEntry[];
  /** Packages in `plugins` that cannot be used; the agent runs without them. */
  readonly failures: readonly unknown[];
}
