export { createProgram, defaultAddress } from "./program.ts";
export { run } from "./run.ts";
export type { CliStreams } from "./cli.ts";
export { plainStyle, styleFor, type Style } from "./format/style.ts";
export { exitCodeMeanings, exitCodes } from "./exit-codes.ts";
export { errors } from "./errors.ts";
