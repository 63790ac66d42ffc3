import { join } from "node:path";
import type { ConfiguredPlugin } from "../config/agent-configuration.ts";
import type { AgentConfig } from "../config/agent-schema.ts";

/** Where the snapshotter's socket and files are by the configuration. */
export function snapshotterFacts(
  { root, state }: AgentConfig,
  plugins: readonly ConfiguredPlugin[],
): { readonly socket: string; readonly root: string } {
  const table: unknown = plugins.find(({ plugin }) => plugin.name === "snapshotter")?.config;
  const own = typeof table === "object" && table !== null && "socket" in table ? table.socket : undefined;
  return {
    socket: typeof own === "string" ? own : join(state, "snapshotter.sock"),
    root: join(root, "snapshotter"),
  };
}
