import { isAeonError } from "@aeon/core";

/** A record or task that is gone already. */
export const isGone = (error: unknown): boolean => isAeonError(error, "not-found");

/** What `work` gives; undefined when its object is gone already. */
export const unlessGone = <T>(work: Promise<T>): Promise<T | undefined> =>
  work.catch((error: unknown) => {
    if (isGone(error)) return undefined;
    throw error;
  });
