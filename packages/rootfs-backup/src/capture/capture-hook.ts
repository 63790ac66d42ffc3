import { errorMessage, type Logger, type SnapshotHook } from "@aeon/core";
import type { BackupMetrics } from "../backup-metrics.ts";
import type { BindingRecords } from "../records/binding-records.ts";
import type { Capturer } from "./capturer.ts";
import type { Restarts } from "./restarts.ts";

/** A capture is a rename and two small transactions; only a disk in trouble takes longer. */
const captureTimeoutMs = 10_000;

export interface CaptureHookOptions {
  readonly capturer: Capturer;
  readonly bindings: BindingRecords;
  readonly restarts: Restarts;
  readonly metrics: BackupMetrics;
  readonly log: Logger;
}

/**
 * Captures before the removal, so that a removal that is answered implies a layer that is safe. Runs after the
 * hooks that watch, and refuses rather than loses.
 */
export function captureHook({
  capturer,
  bindings,
  restarts,
  metrics,
  log,
}: CaptureHookOptions): SnapshotHook {
  return {
    name: "backup-capture",
    order: 100,
    timeoutMs: captureTimeoutMs,
    onFailure: "fail",
    async preRemove({ key }, context) {
      try {
        if ((await capturer.capture(key, context)) !== undefined) metrics.capture("captured");
      } catch (error) {
        metrics.capture("refused");
        throw error;
      }
      return undefined;
    },
    async postRemove({ key }, outcome) {
      if (!outcome.ok && outcome.error.code !== "not-found") return undefined;
      restarts.left(key);
      // What is lost of this with the process is made up for by postCleanup of the restore hook.
      bindings
        .release(key)
        .catch((error: unknown) =>
          log.warn({ snapshot: key, error: errorMessage(error) }, "binding not released"),
        );
      return undefined;
    },
  };
}
