import { duration, errorMessage } from "@aeon/core";
import * as v from "valibot";
import { errors } from "../errors.ts";

/** When something is due: after a time, or by the clock. */
export interface Schedule {
  /** The next time after the given one, in milliseconds since the epoch; undefined when there is none. */
  next(after: number): number | undefined;
}

/** Milliseconds. */
const shortest = 1000;

/**
 * Reads a time span such as `15m`, or a cron expression such as `0 3 * * *` (in the host's time zone, seconds may
 * lead, `@daily` and its like work). Rejects with `SCHEDULE_INVALID`.
 */
export async function parseSchedule(text: string): Promise<Schedule> {
  const span = v.safeParse(duration(), text.trim());
  if (span.success) {
    if (span.output < shortest)
      throw errors.SCHEDULE_INVALID(`schedule ${JSON.stringify(text)} is shorter than a second`);
    return { next: (after) => after + span.output };
  }
  const { Cron } = await import("croner");
  try {
    const cron = new Cron(text, { paused: true });
    return { next: (after) => cron.nextRun(new Date(after))?.getTime() };
  } catch (error) {
    throw errors.SCHEDULE_INVALID(
      `${JSON.stringify(text)} is neither a time span such as "15m" nor a cron expression: ${errorMessage(error)}`,
      { cause: error },
    );
  }
}
