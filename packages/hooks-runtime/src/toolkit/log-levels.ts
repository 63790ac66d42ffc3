/** Levels of the runtime's log, the least severe first. */
export const toolkitLogLevels = ["trace", "debug", "info", "warn", "error"] as const;
