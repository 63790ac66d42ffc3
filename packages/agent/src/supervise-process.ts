import type { Logger, Metrics } from "@aeon/core";
import { pluginScope } from "./host/plugin-scope.ts";

/**
 * Keeps the process alive when code throws where nobody catches it: the plugin it belongs to is started again,
 * the snapshotter goes on. Disposing removes the handlers.
 */
export function superviseProcess(log: Logger, metrics: Metrics): Disposable {
  const uncaught = metrics.counter({
    name: "uncaught_errors_total",
    help: "Errors that no code caught, by the plugin they came from.",
    labels: ["plugin"],
  });
  const handle = (error: unknown): void => {
    const scope = pluginScope.getStore();
    uncaught.inc({ plugin: scope?.name ?? "none" });
    log.error({ plugin: scope?.name, error }, "uncaught error");
    // Starting the snapshotter again would interrupt every caller; its calls report their own errors.
    if (scope !== undefined && scope.name !== "snapshotter") scope.fail(error);
  };
  process.on("uncaughtException", handle);
  process.on("unhandledRejection", handle);
  return {
    [Symbol.dispose]: () => {
      process.off("uncaughtException", handle);
      process.off("unhandledRejection", handle);
    },
  };
}
