import { constants } from "node:os";
import { libcFunction } from "./libc.ts";

const prctl = libcFunction(
  "int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)",
);
const setParentDeathSignal = 1;

/** Asks the kernel to send this process a signal when its parent dies, so that no worker outlives its agent. */
export function signalOnParentDeath(signal: "SIGTERM" | "SIGKILL"): void {
  prctl.sync(signal, setParentDeathSignal, constants.signals[signal], 0, 0, 0);
}
