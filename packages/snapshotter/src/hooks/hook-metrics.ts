import type { Metrics } from "@aeon/core";
import type { FailureCause, FunctionName } from "./failure.ts";

/** Counts what one hook function does. */
export interface FunctionMeter {
  ran(milliseconds: number): void;
  failed(cause: FailureCause): void;
  /** A result came after its time limit and was dropped. */
  late(): void;
  unsettled(count: number): void;
}

const nothing = (): void => {};
const silentMeter: FunctionMeter = { ran: nothing, failed: nothing, late: nothing, unsettled: nothing };

/** Seconds; hooks on the hot path take microseconds, restores take minutes. */
const buckets = [0.0001, 0.0005, 0.002, 0.01, 0.05, 0.2, 1, 5, 20, 60, 120];

/** Declares the pipeline's metrics; the result makes a meter for each hook function. */
export function hookMeters(metrics: Metrics | undefined): (name: FunctionName) => FunctionMeter {
  if (metrics === undefined) return () => silentMeter;
  const labels = ["hook", "function"] as const;
  const duration = metrics.histogram({
    name: "snapshot_hook_duration_seconds",
    help: "Time a snapshot hook's function took, up to its limit.",
    labels,
    buckets,
  });
  const failures = metrics.counter({
    name: "snapshot_hook_failures_total",
    help: "Failures of snapshot hooks by cause: threw, timed-out, garbage, hanging, canceled.",
    labels: [...labels, "cause"],
  });
  const late = metrics.counter({
    name: "snapshot_hook_late_results_total",
    help: "Results of snapshot hooks that came after their time limit and were dropped.",
    labels,
  });
  const unsettled = metrics.gauge({
    name: "snapshot_hook_unsettled",
    help: "Runs of a snapshot hook that passed their time limit and have not ended yet.",
    labels,
  });
  return ({ hook, function: called }) => {
    const own = [hook, called] as const;
    const ownDuration = duration.labels(...own);
    const ownUnsettled = unsettled.labels(...own);
    return {
      ran: (milliseconds) => ownDuration.observe(milliseconds / 1000),
      failed: (cause) => failures.labels(...own, cause).inc(),
      late: () => late.labels(...own).inc(),
      unsettled: (count) => ownUnsettled.set(count),
    };
  };
}
