import { setFlagsFromString } from "node:v8";

/**
 * Trades a little speed for resident memory, as fits a process that is mostly idle: compiled code that was not called
 * between two major collections is dropped, and compiled again if need be. Has to be called before much is loaded.
 */
export function preferLittleMemory(): void {
  setFlagsFromString("--bytecode-old-age=1");
}

/**
 * Keeps V8's young generation at the size that starting needed. Under a burst of calls it would grow to many times that,
 * and V8 gives none of it back.
 */
export function keepYoungGeneration(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
