import { join } from "node:path";

/**
 * Runs that are kept; a new one takes the place of one of them. Prime, since places are process ids modulo this and the
 * ids of hooks that run one after another lie a fixed number apart.
 */
export const mostRuns = 251;

/** Folder of the runs of hooks that were kept below a state folder. */
export const runsPath = (state: string): string => join(state, "runs");
