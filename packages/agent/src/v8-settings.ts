import { setFlagsFromString } from "node:v8";

/**
 * Keeps V8's young generation at its initial size: 3 MB less of resident memory for a process that is mostly idle,
 * for slightly more frequent, short collections. Has to be called before much is loaded.
 */
export const keepYoungGenerationSmall = (): void => setFlagsFromString("--semi-space-growth-factor=1");
