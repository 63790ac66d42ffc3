import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Trades a little speed for resident memory, as fits a process that is mostly idle. The young generation stays at its
 * initial size: 3 MB less, for slightly more frequent, short collections. Compiled code that was not called
 * between two major collections is dropped, and compiled again if need be: 3 MB less. Has to be called before much is loaded.
 */
export function preferLittleMemory(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--bytecode-old-age=1");
}

/**
 * Gives back what only starting needed: 2 MB. Takes some 15 ms in which nothing else runs, so it has its place before
 * the first call is served.
 */
export function forgetStart(): void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
}
