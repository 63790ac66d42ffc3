import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Plugin, SnapshotHook } from "@aeon/core";
import { dindPlugin } from "@aeon/dind";
import { hooksPlugin } from "@aeon/hooks-runtime";
import { backupPlugin, startGuard, type DefaultPolicy, type StartGuardOptions } from "@aeon/rootfs-backup";
import { snapshotterPlugin } from "@aeon/snapshotter";
import type { ConfiguredPlugin } from "../config/agent-configuration.ts";
import { containerServicePlugin } from "../container-service/plugin.ts";

/** In the bundle the program for backup's worker processes lies beside the agent's. */
const bundledWorker = join(import.meta.dirname, "backup-worker.js");

const backup = backupPlugin(
  existsSync(bundledWorker) ? { workerCommand: [process.execPath, bundledWorker] } : {},
);

/** The plugins that come with the agent and have a table in the configuration; the snapshotter is the first. */
export const builtinPlugins: readonly Plugin[] = [
  snapshotterPlugin,
  backup,
  hooksPlugin,
  containerServicePlugin,
  dindPlugin,
];

/** Plugins without which no writable snapshot may be removed, since they might have to keep its content. */
export const keepersOf = (plugins: readonly ConfiguredPlugin[]): readonly string[] =>
  plugins.some(({ plugin }) => plugin === backup) ? [backup.name] : [];

/** What the agent has to do for plugins that do not run: refuse starts that would lose files. */
export function startGuardsOf(
  plugins: readonly ConfiguredPlugin[],
  root: string,
  {
    registry,
    isReady,
  }: Pick<StartGuardOptions, "registry"> & { readonly isReady: (name: string) => boolean },
): readonly SnapshotHook[] {
  const configured = plugins.find(({ plugin }) => plugin === backup);
  if (configured === undefined) return [];
  const database = join(root, backup.name, "backup.db");
  const isMissing = (): boolean => !isReady(backup.name);
  return [startGuard({ database, policy: policyOf(configured.config), registry, isMissing })];
}

/** A checked table has a policy. */
function policyOf(config: unknown): DefaultPolicy {
  const named = typeof config === "object" && config !== null && "default-policy" in config;
  const policy = named ? config["default-policy"] : undefined;
  return policy === "all" || policy === "none" ? policy : "label";
}
