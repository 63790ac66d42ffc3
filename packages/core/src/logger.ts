/** Facts of a log line. Never put secrets here. */
export type LogFacts = Readonly<Record<string, unknown>>;

/** The part of pino that aeon's packages use: facts first, then a short constant message. */
export interface Logger {
  trace(facts: LogFacts, message: string): void;
  debug(facts: LogFacts, message: string): void;
  info(facts: LogFacts, message: string): void;
  warn(facts: LogFacts, message: string): void;
  error(facts: LogFacts, message: string): void;
  child(facts: LogFacts): Logger;
}

const nothing = (): void => {};
/** Drops everything: the default of packages used alone. */
export const silentLogger: Logger = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
};
