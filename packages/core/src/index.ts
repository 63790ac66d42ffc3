export * from "./brand.ts";
export * from "./container-registry.ts";
export * from "./container-services.ts";
export * from "./error-codes.ts";
export * from "./error.ts";
export { Lifetime } from "./lifetime.ts";
export { silentLogger, type LogFacts, type Logger } from "./logger.ts";
export type { MetricOptions, Metrics } from "./metrics.ts";
export * from "./capability.ts";
export * from "./plugin.ts";
export * from "./pod-ends.ts";
export * from "./pod-folders.ts";
export type * from "./snapshot-hooks.ts";
export * from "./service-params.ts";
export * from "./snapshotter.ts";
export type { Database } from "./database/database.ts";
export { openDatabase, type DatabaseOptions } from "./database/open-database.ts";
export * as linux from "./linux/index.ts";
export * from "./config/index.ts";
export {
  createLogger,
  logLevels,
  type LoggerOptions,
  type LogLevel,
  type RootLogger,
} from "./create-logger.ts";
export { createMetrics, type MetricsRegistry, type MetricsRegistryOptions } from "./create-metrics.ts";
export * from "./token-reviewer.ts";
