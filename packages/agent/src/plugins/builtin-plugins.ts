import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "@aeon/core";
import { backupPlugin } from "@aeon/rootfs-backup";
import { snapshotterPlugin } from "@aeon/snapshotter";
import type { ConfiguredPlugin } from "../config/agent-configuration.ts";

/** In the bundle the program for backup's worker processes lies beside the agent's. */
const bundledWorker = join(import.meta.dirname, "backup-worker.js");

const backup = backupPlugin(
  existsSync(bundledWorker) ? { workerCommand: [process.execPath, bundledWorker] } : {},
);

/** The plugins that come with the agent and have a table in the configuration; the snapshotter is the first. */
export const builtinPlugins: readonly Plugin[] = [snapshotterPlugin, backup];

/** Plugins without which no writable snapshot may be removed, since they might have to keep its content. */
export const keepersOf = (plugins: readonly ConfiguredPlugin[]): readonly string[] =>
  plugins.some(({ plugin }) => plugin === backup) ? [backup.name] : [];
