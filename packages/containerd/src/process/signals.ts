import { constants } from "node:os";

/** The number of a signal given by name. */
export const signalNumber = (signal: NodeJS.Signals | number): number =>
  typeof signal === "number" ? signal : constants.signals[signal];
