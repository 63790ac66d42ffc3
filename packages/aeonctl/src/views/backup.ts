import { admin } from "@aeon/proto";
import { humanDuration } from "../format/duration.ts";
import { printable } from "../format/printable.ts";
import { humanSize } from "../format/size.ts";
import { formatFacts, formatTable, type Column } from "../format/table.ts";
import type { Style } from "../format/style.ts";
import { exitView, podText, podView, type ExitView, type PodView } from "./container.ts";
import { enumName } from "./enum-name.ts";
import { isoTime, shortTime } from "./timestamp.ts";

/** One entry of `aeonctl backup ls`, and what `backup show` and `backup wait` say. */
export interface BackupView {
  readonly id: string;
  /** `capturing`, `staged`, `packing`, `uploading`, `verifying`, `stored` or `failed`. */
  readonly state: string;
  readonly failure: string | null;
  readonly attempts: number;
  /** When a failed one is tried again. */
  readonly nextAttemptAt: string | null;
  /** How far packing, uploading or verifying is, in bytes; `total` is null while it is not known. */
  readonly progress: { readonly done: number; readonly total: number | null } | null;
  readonly namespace: string;
  readonly containerId: string | null;
  readonly image: string | null;
  readonly pod: PodView | null;
  readonly snapshotKey: string;
  readonly exit: ExitView | null;
  readonly outOfMemory: boolean;
  /** Why it was taken: `removed`, `exited`, `oom`, `evicted`, `restart`, `scheduled`, `drain` or `manual`. */
  readonly trigger: string;
  /** `exact`, `frozen` or `live`. */
  readonly consistency: string;
  /** What successive backups continue: a container of a workload of a tenant. */
  readonly tenant: string | null;
  readonly workload: string | null;
  readonly container: string | null;
  /** The backup that the container had been restored from. */
  readonly parent: string | null;
  /** Bytes that the backup's own layer takes in the store; null until stored. */
  readonly size: number | null;
  /** Bytes of all it takes to restore it, in the store; null when only the agent was asked. */
  readonly totalSize: number | null;
  readonly digest: string | null;
  readonly location: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: string | null;
  readonly storedAt: string | null;
  /** Where it was made, and its place in the chain; null until stored, as the two below. */
  readonly node: string | null;
  readonly seq: number | null;
  /** True for the one that a container which continues the chain starts from. */
  readonly head: boolean | null;
  /** Why it must not be removed. */
  readonly pinned: string | null;
}

export const backupView = (backup: admin.Backup): BackupView => ({
  id: backup.id,
  state: enumName(admin.BackupState, backup.state),
  failure: backup.failure || null,
  attempts: backup.attempts,
  nextAttemptAt: isoTime(backup.nextAttemptAt),
  progress: backup.progress
    ? { done: Number(backup.progress.done), total: Number(backup.progress.total) || null }
    : null,
  namespace: backup.namespace,
  containerId: backup.containerId || null,
  image: backup.image || null,
  pod: podView(backup.pod),
  snapshotKey: backup.snapshotKey,
  exit: exitView(backup.exit),
  outOfMemory: backup.outOfMemory,
  trigger: enumName(admin.BackupTrigger, backup.trigger),
  consistency: enumName(admin.BackupConsistency, backup.consistency),
  tenant: backup.tenant || null,
  workload: backup.workload || null,
  container: backup.container || null,
  parent: backup.parent || null,
  size: backup.state === admin.BackupState.STORED ? Number(backup.size) : null,
  totalSize: null,
  digest: backup.digest || null,
  location: backup.location || null,
  labels: backup.labels,
  createdAt: isoTime(backup.createdAt),
  storedAt: isoTime(backup.storedAt),
  node: null,
  seq: null,
  head: null,
  pinned: null,
});

const sizeText = (size: number | null): string | null => (size === null ? null : humanSize(size));

const paintState = (text: string, { state }: Pick<BackupView, "state">, style: Style): string =>
  state === "stored" ? style.good(text) : state === "failed" ? style.bad(text) : style.busy(text);

const exitText = ({ exit, outOfMemory }: BackupView): string | null =>
  exit === null ? null : `${exit.code}${outOfMemory ? " oom" : ""}`;

/** With how much of it is done, where that is known. */
function stateText({ state, progress }: BackupView): string {
  if (progress === null) return state;
  const { done, total } = progress;
  return total === null ? `${state} ${humanSize(done)}` : `${state} ${Math.floor((100 * done) / total)}%`;
}

/** With the time until the next try, where that is known. */
function failureText({ failure, nextAttemptAt }: BackupView): string | null {
  if (failure === null || nextAttemptAt === null) return failure;
  return `again in ${humanDuration(Math.max(0, Date.parse(nextAttemptAt) - Date.now()))}: ${failure}`;
}

const progressText = ({ progress }: BackupView): string | null =>
  progress === null
    ? null
    : `${humanSize(progress.done)} of ${progress.total === null ? "an unknown size" : humanSize(progress.total)}`;

const marks = ({ head, pinned }: BackupView): string =>
  [...(head === true ? ["HEAD"] : []), ...(pinned === null ? [] : ["pinned"])].join(",");

const columns: readonly Column<BackupView>[] = [
  { title: "BACKUP", text: ({ id }) => id },
  { title: "STATE", text: stateText, paint: paintState },
  { title: "NAMESPACE", text: ({ namespace }) => namespace },
  { title: "CONTAINER", text: ({ containerId }) => containerId },
  { title: "SIZE", text: ({ size }) => sizeText(size), align: "right" },
  { title: "CREATED", text: ({ createdAt }) => shortTime(createdAt) },
  { title: "TRIGGER", text: ({ trigger }) => trigger },
  { title: "EXIT", text: exitText, align: "right" },
  { title: "MARKS", text: marks, paint: (text, _backup, style) => style.good(text) },
  { title: "IMAGE", text: ({ image }) => image },
  { title: "FAILURE", text: failureText },
];

/** More is known of what is in a store. */
const storeColumns: readonly Column<BackupView>[] = [
  { title: "BACKUP", text: ({ id }) => id },
  { title: "TENANT", text: ({ tenant }) => tenant },
  { title: "WORKLOAD", text: ({ workload }) => workload },
  { title: "CONTAINER", text: ({ container }) => container },
  { title: "SIZE", text: ({ size }) => sizeText(size), align: "right" },
  { title: "TOTAL", text: ({ totalSize }) => sizeText(totalSize), align: "right" },
  { title: "AGE", text: ({ createdAt }) => ageText(createdAt), align: "right" },
  { title: "TRIGGER", text: ({ trigger }) => trigger },
  { title: "EXIT", text: exitText, align: "right" },
  { title: "PARENT", text: ({ parent }) => parent },
  { title: "MARKS", text: marks, paint: (text, _backup, style) => style.good(text) },
];

const ageText = (createdAt: string | null): string | null =>
  createdAt === null ? null : humanDuration(Date.now() - Date.parse(createdAt));

export const backupTable = (views: readonly BackupView[], style: Style): string =>
  formatTable(views, columns, style);

/** The same of a store, where nothing is on its way. */
export const storedTable = (views: readonly BackupView[], style: Style): string =>
  formatTable(views, storeColumns, style);

const shown = (text: string | null): string | null => (text === null ? null : printable(text));

const chainText = ({ tenant, workload, container }: BackupView): string | null =>
  tenant === null ? null : printable(`${tenant}/${workload}/${container}`);

/** Everything about one backup. */
export function backupDetails(view: BackupView, style: Style): string {
  return formatFacts(
    [
      ["backup", shown(view.id)],
      ["state", paintState(view.state, view, style)],
      ["done", progressText(view)],
      ["failure", shown(view.failure)],
      ["attempts", String(view.attempts)],
      ["next attempt", view.nextAttemptAt],
      ["namespace", shown(view.namespace)],
      ["container", shown(view.containerId)],
      ["image", shown(view.image)],
      ["pod", shown(podText(view.pod))],
      ["snapshot", shown(view.snapshotKey)],
      ["exit", view.exit === null ? null : `code ${view.exit.code} at ${view.exit.at}`],
      ["out of memory", view.outOfMemory ? "yes" : null],
      ["trigger", view.trigger],
      ["consistency", view.consistency],
      ["chain", chainText(view)],
      ["restored from", shown(view.parent)],
      ["size", view.size === null ? null : `${humanSize(view.size)} (${view.size} bytes)`],
      ["digest", shown(view.digest)],
      ["location", shown(view.location)],
      ["created", view.createdAt],
      ["stored", view.storedAt],
      ...Object.entries(view.labels).map(([key, value]): [string, string] => [
        "label",
        printable(`${key}=${value}`),
      ]),
    ],
    style,
  );
}
