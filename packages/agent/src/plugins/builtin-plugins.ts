import type { Plugin } from "@aeon/core";
import { snapshotterPlugin } from "@aeon/snapshotter";
import type { ConfiguredPlugin } from "../config/load-agent-config.ts";

/** The plugins that come with the agent and have a table in the configuration; the snapshotter is the first. */
export const builtinPlugins: readonly Plugin[] = [snapshotterPlugin];

/** Plugins without which no writable snapshot may be removed, since they might have to keep its content. */
export const keepersOf = (plugins: readonly ConfiguredPlugin[]): readonly string[] =>
  plugins.map(({ plugin }) => plugin.name).filter((name) => name === "backup");
