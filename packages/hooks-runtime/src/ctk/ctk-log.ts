import { logLine } from "../runtime/runtime-log.ts";

/** Where the command line tells what it does, in the toolkit's form. */
export interface CtkLog {
  info(message: string): void;
  warn(message: string): void;
}

/** Writes lines to standard error; only errors when quiet. */
export const ctkLog = (isQuiet: () => boolean, write: (text: string) => void): CtkLog => {
  const line = (level: string, message: string): void => {
    if (!isQuiet()) write(`${logLine("text", level, message)}\n`);
  };
  return { info: (message) => line("info", message), warn: (message) => line("warning", message) };
};
