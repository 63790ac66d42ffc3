import type { admin } from "@aeon/proto";
import { formatTable, type Column } from "../format/table.ts";
import type { Style } from "../format/style.ts";
import { isoTime, shortTime } from "./timestamp.ts";

/** One run of `aeonctl hooks log`. */
export interface HookRunView {
  readonly rule: string;
  readonly stage: string;
  readonly program: string;
  readonly onFailure: string;
  readonly containerId: string;
  readonly namespace: string | null;
  readonly pod: string | null;
  readonly container: string | null;
  readonly status: number;
  readonly startedAt: string | null;
  readonly durationMs: number;
  readonly output: string;
}

export const hookRunView = (run: admin.HookRun): HookRunView => ({
  rule: run.rule,
  stage: run.stage,
  program: run.program,
  onFailure: run.onFailure,
  containerId: run.containerId,
  namespace: run.namespace || null,
  pod: run.pod || null,
  container: run.container || null,
  status: run.status,
  startedAt: isoTime(run.startedAt),
  durationMs: milliseconds(run.endedAt) - milliseconds(run.startedAt),
  output: run.output,
});

const milliseconds = (time: admin.HookRun["startedAt"]): number =>
  time === undefined ? 0 : Number(time.seconds) * 1000 + time.nanos / 1e6;

const runColumns: readonly Column<HookRunView>[] = [
  { title: "STARTED", text: ({ startedAt }) => shortTime(startedAt) },
  { title: "RULE", text: ({ rule }) => rule },
  { title: "STAGE", text: ({ stage }) => stage },
  { title: "PROGRAM", text: ({ program }) => program },
  {
    title: "STATUS",
    text: ({ status }) => String(status),
    align: "right",
    paint: (text, { status }, style) => (status === 0 ? text : style.bad(text)),
  },
  { title: "MS", text: ({ durationMs }) => durationMs.toFixed(1), align: "right" },
  { title: "CONTAINER", text: ({ containerId }) => containerId },
  { title: "OUTPUT", text: ({ output }) => output.trimEnd().split("\n").at(-1) || null },
];

export const hookRunTable = (views: readonly HookRunView[], style: Style): string =>
  formatTable(views, runColumns, style);
