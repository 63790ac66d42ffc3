import { errors } from "../errors.ts";
import { readHookRuns, type HookRun } from "../runs/hook-run.ts";
import { runsPath } from "../runs/runs-folder.ts";
import { durationMs, summariseRuns } from "../runs/summary.ts";
import type { CtkContext } from "./context.ts";

export interface LogOptions {
  readonly rule?: string;
  readonly container?: string;
  readonly failed?: boolean;
  readonly last: string;
  readonly json?: boolean;
}

/** `hooks log`: how hooks ran, with what they wrote. */
export async function hooksLog(options: LogOptions, { paths, print }: CtkContext): Promise<void> {
  const { rule, container, failed = false, last, json = false } = options;
  if (!/^[1-9]\d{0,5}$/.test(last)) throw errors.TOOLKIT_OPTION_INVALID(`--last ${last} is no count`);
  const runs = (await readHookRuns(runsPath(paths.state)))
    .filter((run) => rule === undefined || run.rule === rule)
    .filter((run) => container === undefined || run.containerId === container)
    .filter(({ status }) => !failed || status !== 0)
    .slice(0, Number(last))
    .toReversed();
  if (json)
    return print(
      `${JSON.stringify(
        runs.map((run) => runView(run)),
        undefined,
        2,
      )}\n`,
    );
  for (const run of runs) print(runText(run));
}

/** `hooks status`: the recorded runs of each hook in one line. */
export async function hooksStatus(json: boolean, { paths, print }: CtkContext): Promise<void> {
  const summaries = summariseRuns(await readHookRuns(runsPath(paths.state)));
  if (json)
    return print(
      `${JSON.stringify(
        summaries.map(({ last, ...summary }) => ({ ...summary, last: runView(last) })),
        undefined,
        2,
      )}\n`,
    );
  for (const { rule, stage, program, runs, failures, medianMs, longestMs, last } of summaries)
    print(
      `${rule}  ${stage}  ${program}  runs ${runs}  failed ${failures}  median ${medianMs.toFixed(1)} ms  longest ${longestMs.toFixed(1)} ms  last ${outcomeOf(last)} at ${timeOf(last)}\n`,
    );
}

const timeOf = ({ startedAt }: HookRun): string => new Date(Number(startedAt / 1_000_000n)).toISOString();

const outcomeOf = ({ status }: HookRun): string =>
  status === 0 ? "ok" : status > 128 ? `signal ${status - 128}` : `exit ${status}`;

const runView = (run: HookRun) => ({
  ...run,
  startedAt: timeOf(run),
  endedAt: new Date(Number(run.endedAt / 1_000_000n)).toISOString(),
  durationMs: durationMs(run),
});

/** What could steer a terminal. */
// oxlint-disable-next-line no-control-regex -- that is the point
const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

function runText(run: HookRun): string {
  const { rule, stage, program, containerId, namespace, pod, output } = run;
  const whose = pod === undefined ? containerId : `${containerId} of ${namespace ?? ""}/${pod}`;
  const head = `${timeOf(run)}  ${rule}  ${stage}  ${program}  ${outcomeOf(run)}  ${durationMs(run).toFixed(1)} ms  ${whose}\n`;
  const said = output.trimEnd().replaceAll(control, "?");
  return said === "" ? head : `${head}${said.replaceAll(/^/gm, "  ")}\n`;
}
