import type { SnapshotHook } from "@aeon/core";
import { errors } from "../errors.ts";
import type { BackupMetrics } from "../backup-metrics.ts";
import type { BindingRecords } from "../records/binding-records.ts";
import { restoreFailure, type Restorer } from "./restorer.ts";

/** kubelet gives up on a start after two minutes; what is not ready by then is joined by the next attempt. */
const restoreTimeoutMs = 110_000;

export interface RestoreHookOptions {
  readonly restorer: Restorer;
  readonly bindings: BindingRecords;
  readonly metrics: BackupMetrics;
}

/** Restores at Mounts, the one call under which containerd holds no lock. */
export function restoreHook({ restorer, bindings, metrics }: RestoreHookOptions): SnapshotHook {
  return {
    name: "backup-restore",
    order: 100,
    timeoutMs: restoreTimeoutMs,
    onFailure: "fail",
    async postMounts({ key }, outcome, context) {
      if (!outcome.ok) return undefined;
      const startedAt = performance.now();
      const waited = () => (performance.now() - startedAt) / 1000;
      try {
        const mounts = await restorer.mounts(key, outcome.reply, context);
        if (mounts !== undefined) metrics.restore("restored", waited());
        return mounts;
      } catch (error) {
        metrics.restore("refused", waited());
        throw restoreFailure(error, key);
      }
    },
    async preCommit({ key }) {
      if (bindings.get(key) === undefined) return undefined;
      throw errors.RESTORED_NOT_COMMITTED(
        `snapshot ${key} cannot be committed: its restored files are in layers of their own and would be left out`,
      );
    },
    async postCleanup(_request, _outcome, { backend, caller, signal }) {
      const bound = bindings.list();
      if (bound.length === 0) return undefined;
      const live = new Map<string, bigint>();
      for await (const { name, createdAt } of await backend.list({ filters: [] }, { caller, signal }))
        live.set(name, createdAt);
      // A removal whose answer was cut off by a crash has left its binding behind.
      for (const { snapshotKey, snapshotCreated } of bound)
        if (live.get(snapshotKey) !== snapshotCreated) await bindings.release(snapshotKey);
      return undefined;
    },
  };
}
