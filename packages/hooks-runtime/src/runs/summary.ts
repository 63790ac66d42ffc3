import type { HookRun } from "./hook-run.ts";

/** What the kept runs of one hook say together. */
export interface HookSummary {
  readonly rule: string;
  readonly stage: HookRun["stage"];
  readonly program: string;
  readonly runs: number;
  readonly failures: number;
  readonly medianMs: number;
  readonly longestMs: number;
  readonly last: HookRun;
}

/** Milliseconds that a run took; none when the clock went back meanwhile. */
export const durationMs = ({ startedAt, endedAt }: HookRun): number =>
  Math.max(0, Number(endedAt - startedAt) / 1e6);

/** Sums up runs, the latest first, by hook. */
export function summariseRuns(runs: readonly HookRun[]): readonly HookSummary[] {
  const groups = Map.groupBy(runs, ({ rule, stage, program }) => JSON.stringify([rule, stage, program]));
  return [...groups.values()].flatMap((group) => {
    const [last] = group;
    if (last === undefined) return [];
    const times = group.map(durationMs).toSorted((a, b) => a - b);
    return {
      rule: last.rule,
      stage: last.stage,
      program: last.program,
      runs: group.length,
      failures: group.filter(({ status }) => status !== 0).length,
      medianMs: times[times.length >> 1] ?? 0,
      longestMs: times.at(-1) ?? 0,
      last,
    };
  });
}
