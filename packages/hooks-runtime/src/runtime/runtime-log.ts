import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { toolkitLogLevels } from "../toolkit/log-levels.ts";
import type { ToolkitConfig } from "../toolkit/toolkit-config.ts";

/** A log above this size is put aside; one old log is kept. */
const largestLog = 1 << 20;

/** A line as logrus writes it, in the format that `--log-format` asks for. */
export function logLine(format: string, level: string, message: string, time = new Date()): string {
  const stamp = time.toISOString().replace(/\.\d+Z$/, "Z");
  return format === "json"
    ? JSON.stringify({ level, msg: message, time: stamp })
    : `time=${JSON.stringify(stamp)} level=${level} msg=${JSON.stringify(message)}`;
}

/** Appends to the toolkit's own log; a log that cannot be written is no reason to stop a container. */
export function appendLog(
  { log, logLevel }: Pick<ToolkitConfig, "log" | "logLevel">,
  level: ToolkitConfig["logLevel"],
  message: string,
): void {
  if (log === "" || toolkitLogLevels.indexOf(level) < toolkitLogLevels.indexOf(logLevel)) return;
  try {
    mkdirSync(dirname(log), { recursive: true, mode: 0o755 });
    const file = openSync(log, "a", 0o644);
    try {
      writeSync(file, `${logLine("text", level, message)}\n`);
      if (fstatSync(file).size > largestLog) renameSync(log, `${log}.1`);
    } finally {
      closeSync(file);
    }
  } catch {
    // Nobody is left to tell: stderr belongs to the runtime that follows.
  }
}
