import { join } from "node:path";

/** Runs that are kept; a new one takes the place of one of them. */
export const mostRuns = 256;

/** Folder of the runs of hooks that were kept below a state folder. */
export const runsPath = (state: string): string => join(state, "runs");
