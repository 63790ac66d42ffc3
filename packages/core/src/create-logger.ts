import type { DestinationStream, Logger as Pino } from "pino";
import { AeonError } from "./error.ts";
import type { LogFacts, Logger } from "./logger.ts";

const levels = { trace: 10, debug: 20, info: 30, warn: 40, error: 50 } as const;
export type LogLevel = keyof typeof levels;
export const logLevels: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error"];

/** Bytes that may wait for whoever reads the log; lines beyond are lost, rather than the process held up. */
const bufferLimit = 4 * 1024 * 1024;

export interface LoggerOptions {
  readonly level: LogLevel;
  /** `auto`: pretty on a terminal, else JSON lines. */
  readonly format: "auto" | "json" | "pretty";
  /** Where lines go; default: standard error. */
  readonly destination?: DestinationStream;
}

/** The root of all loggers of a process. */
export interface RootLogger extends Logger {
  /** Applies to loggers made before, too. */
  setLevel(level: LogLevel): void;
}

/**
 * A logger that writes JSON lines (or, on a terminal, readable ones) with RFC 3339 times. pino is loaded here and
 * not with this module: programs that only use aeon's contracts should not pay its memory.
 */
export async function createLogger({ level, format, destination }: LoggerOptions): Promise<RootLogger> {
  const { pino, stdSerializers, stdTimeFunctions } = await import("pino");
  const describeError = errorDescriber(stdSerializers.err);
  const isPretty = format === "pretty" || (format === "auto" && process.stderr.isTTY);
  const stream = isPretty
    ? await prettyStream(destination)
    : (destination ?? pino.destination({ dest: 2, sync: false, maxLength: bufferLimit }));
  const root = pino(
    {
      level: "trace",
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError, err: describeError, cause: describeError },
    },
    stream,
  );
  return new PinoLogger(root, { threshold: levels[level] });
}

/** Loaded only on a terminal. */
async function prettyStream(destination: DestinationStream | undefined): Promise<DestinationStream> {
  const { default: pretty } = await import("pino-pretty");
  return pretty({
    destination: destination ?? 2,
    sync: true,
    ignore: "pid,hostname",
    translateTime: "SYS:HH:MM:ss.l",
  });
}

/** The threshold is shared with all children, so that a reload reaches them. */
class PinoLogger implements RootLogger {
  readonly #pino: Pino;
  readonly #shared: { threshold: number };

  constructor(logger: Pino, shared: { threshold: number }) {
    this.#pino = logger;
    this.#shared = shared;
  }

  trace(facts: LogFacts, message: string): void {
    if (this.#shared.threshold <= levels.trace) this.#pino.trace(facts, message);
  }
  debug(facts: LogFacts, message: string): void {
    if (this.#shared.threshold <= levels.debug) this.#pino.debug(facts, message);
  }
  info(facts: LogFacts, message: string): void {
    if (this.#shared.threshold <= levels.info) this.#pino.info(facts, message);
  }
  warn(facts: LogFacts, message: string): void {
    if (this.#shared.threshold <= levels.warn) this.#pino.warn(facts, message);
  }
  error(facts: LogFacts, message: string): void {
    if (this.#shared.threshold <= levels.error) this.#pino.error(facts, message);
  }
  child(facts: LogFacts): Logger {
    return new PinoLogger(this.#pino.child(facts), this.#shared);
  }
  setLevel(level: LogLevel): void {
    this.#shared.threshold = levels[level];
  }
}

/** Expected failures need no stack; of anything else it is what a maintainer wants. */
function errorDescriber(describeUnexpected: (error: Error) => unknown): (error: unknown) => unknown {
  const describe = (error: unknown): unknown => {
    if (!(error instanceof Error)) return error;
    if (!(error instanceof AeonError)) return describeUnexpected(error);
    const { code, reason, message, details, cause } = error;
    return {
      reason,
      code,
      message,
      ...(Object.keys(details).length > 0 && { details }),
      ...(cause !== undefined && { cause: describe(cause) }),
    };
  };
  return describe;
}
