import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import {
  containerId,
  type ContainerEntry,
  type ContainerRegistry,
  type HookContext,
  type Labels,
  type Mount,
  type SnapshotHook,
  type SnapshotKey,
} from "@aeon/core";
import { keyLabel, neverRestored } from "../capture/labels.ts";
import { mustKeep, type DefaultPolicy } from "../capture/policy.ts";
import { containerKey } from "../capture/snapshot-key.ts";
import { writableLayer } from "../capture/writable-layer.ts";
import { errors } from "../errors.ts";

export interface StartGuardOptions {
  /** The backup plugin's database; nothing was ever requested or restored where there is none. */
  readonly database: string;
  readonly policy: DefaultPolicy;
  readonly registry: () => ContainerRegistry | undefined;
  /** False when the plugin runs, which then decides itself. */
  readonly isMissing: () => boolean;
}

/** Milliseconds; reading a few rows and asking containerd once takes much less. */
const timeoutMs = 10_000;

/**
 * Refuses the mounts of containers that would start without their files while the backup plugin is not running:
 * those that were restored or asked to be, and those that are restored by their identity. All others start.
 */
export function startGuard(options: StartGuardOptions): SnapshotHook {
  return {
    name: "backup-start-guard",
    order: 90,
    timeoutMs,
    onFailure: "fail",
    async postMounts({ key }, outcome, context) {
      if (!options.isMissing() || !outcome.ok) return undefined;
      const reason = await reasonToWait(options, key, outcome.reply, context);
      if (reason !== undefined)
        throw errors.START_DEFERRED(
          `container of snapshot ${key} cannot start yet: the backup plugin is not running, and ${reason}`,
          { details: { key } },
        );
      return undefined;
    },
  };
}

async function reasonToWait(
  { database, policy, registry }: StartGuardOptions,
  key: SnapshotKey,
  mounts: readonly Mount[],
  { backend, caller, signal }: HookContext,
): Promise<string | undefined> {
  const parts = containerKey(key);
  const upper = writableLayer(mounts);
  if (parts === undefined || upper === undefined) return undefined;
  const isNew = (await readdir(upper.upperdir)).length === 0;
  const known = registry()?.bySnapshot(key);
  const id = known?.containerId ?? containerId(parts.clientKey);
  const asked = await recorded(database, { key, namespace: parts.namespace, id, isNew });
  if (asked === "restored") return "it stands on restored files";
  if (asked === "requested") return "a restore is requested for it";
  // While a container is being made its calls carry a lease, and nobody knows yet whose it is.
  if (!isNew || policy === "none" || caller.lease !== undefined) return undefined;
  const entry = known?.containerId === undefined ? await registry()?.learn(key, signal) : known;
  const podLabels = labelsOfPod(registry(), entry);
  const { labels: snapshotLabels } = await backend.stat({ key }, { caller, signal });
  if (!mustKeep({ policy, entry, snapshotLabels, podLabels })) return undefined;
  if (asked === "unknown")
    return "its records cannot be read, so nobody knows whether it has files to restore";
  if (neverRestored(entry?.labels ?? {}, podLabels)) return undefined;
  const hasIdentity = entry?.pod !== undefined || entry?.labels[keyLabel] !== undefined;
  return hasIdentity ? "it may have files to restore" : undefined;
}

const labelsOfPod = (registry: ContainerRegistry | undefined, entry: ContainerEntry | undefined): Labels => {
  const uid = entry?.pod?.uid;
  if (uid === undefined) return {};
  return registry?.list().find((each) => each.sandbox && each.pod?.uid === uid)?.labels ?? {};
};

interface Asked {
  readonly key: SnapshotKey;
  readonly namespace: string;
  readonly id: string;
  /** Nothing is restored into a container that has started before. */
  readonly isNew: boolean;
}

/** What the plugin wrote down; `unknown` when its database cannot be read. */
async function recorded(
  database: string,
  { key, namespace, id, isNew }: Asked,
): Promise<"restored" | "requested" | "unknown" | undefined> {
  if (!existsSync(database)) return undefined;
  const { DatabaseSync } = await import("node:sqlite");
  try {
    const sql = new DatabaseSync(database, { readOnly: true });
    try {
      const has = (query: string, ...values: string[]): boolean =>
        sql.prepare(query).get(...values) !== undefined;
      if (has("SELECT 1 FROM binding WHERE snapshot_key = ?", key)) return "restored";
      const pending = "SELECT 1 FROM restore WHERE namespace = ? AND container_id = ? AND state = 'pending'";
      return isNew && has(pending, namespace, id) ? "requested" : undefined;
    } finally {
      sql.close();
    }
  } catch {
    return "unknown";
  }
}
