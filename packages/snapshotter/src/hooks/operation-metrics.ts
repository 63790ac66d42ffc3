import type { Metrics, SnapshotHook } from "@aeon/core";
import { builtinOrders } from "./builtin-orders.ts";
import { afterEach } from "./every-operation.ts";
import { operationNames } from "./operations.ts";

/** Seconds; a plain operation takes a millisecond, one with a restore minutes. */
const buckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1, 5, 30, 120];

/** A hook that counts and times every snapshot operation by name and by the code of its outcome. */
export function operationMetrics(metrics: Metrics): SnapshotHook {
  const duration = metrics.histogram({
    name: "snapshot_operation_duration_seconds",
    help: "Time from the arrival of a snapshot operation to its outcome, hooks included.",
    labels: ["operation", "code"],
    buckets,
  });
  const series = new Map<string, ReturnType<typeof duration.labels>>();
  return {
    name: "metrics",
    order: builtinOrders.metrics,
    timeoutMs: 1000,
    onFailure: "ignore",
    ...afterEach(operationNames, ({ operation, error, milliseconds }) => {
      const code = error?.code ?? "ok";
      const name = `${operation} ${code}`;
      const own = series.get(name) ?? duration.labels(operation, code);
      series.set(name, own);
      own.observe(milliseconds / 1000);
    }),
  };
}
