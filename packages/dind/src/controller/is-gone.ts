import { isAeonError } from "@aeon/core";

/** A record or task that is gone already. */
export const isGone = (error: unknown): boolean => isAeonError(error, "not-found");
