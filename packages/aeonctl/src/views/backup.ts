import { admin } from "@aeon/proto";
import { printable } from "../format/printable.ts";
import { humanSize } from "../format/size.ts";
import { formatFacts, formatTable, type Column } from "../format/table.ts";
import type { Style } from "../format/style.ts";
import { exitView, podText, podView, type ExitView, type PodView } from "./container.ts";
import { enumName } from "./enum-name.ts";
import { isoTime, shortTime } from "./timestamp.ts";

/** One entry of `aeonctl backups ls`, and what `backups show` and `backups wait` say. */
export interface BackupView {
  readonly id: string;
  /** `staged`, `packing`, `stored` or `failed`. */
  readonly state: string;
  readonly failure: string | null;
  readonly attempts: number;
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
  /** The backup that the container had been restored from. */
  readonly parent: string | null;
  /** Bytes that the backup's own layer takes in the store; null until stored. */
  readonly size: number | null;
  readonly digest: string | null;
  readonly location: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: string | null;
  readonly storedAt: string | null;
}

export const backupView = (backup: admin.Backup): BackupView => ({
  id: backup.id,
  state: enumName(admin.BackupState, backup.state),
  failure: backup.failure || null,
  attempts: backup.attempts,
  namespace: backup.namespace,
  containerId: backup.containerId || null,
  image: backup.image || null,
  pod: podView(backup.pod),
  snapshotKey: backup.snapshotKey,
  exit: exitView(backup.exit),
  outOfMemory: backup.outOfMemory,
  trigger: enumName(admin.BackupTrigger, backup.trigger),
  consistency: enumName(admin.BackupConsistency, backup.consistency),
  parent: backup.parent || null,
  size: backup.state === admin.BackupState.STORED ? Number(backup.size) : null,
  digest: backup.digest || null,
  location: backup.location || null,
  labels: backup.labels,
  createdAt: isoTime(backup.createdAt),
  storedAt: isoTime(backup.storedAt),
});

const sizeText = (size: number | null): string | null => (size === null ? null : humanSize(size));

const paintState = (text: string, { state }: BackupView, style: Style): string =>
  state === "stored" ? style.good(text) : state === "failed" ? style.bad(text) : style.busy(text);

const columns: readonly Column<BackupView>[] = [
  { title: "BACKUP", text: ({ id }) => id },
  { title: "STATE", text: ({ state }) => state, paint: paintState },
  { title: "NAMESPACE", text: ({ namespace }) => namespace },
  { title: "CONTAINER", text: ({ containerId }) => containerId },
  { title: "SIZE", text: ({ size }) => sizeText(size), align: "right" },
  { title: "CREATED", text: ({ createdAt }) => shortTime(createdAt) },
  { title: "IMAGE", text: ({ image }) => image },
  { title: "FAILURE", text: ({ failure }) => failure },
];

export const backupTable = (views: readonly BackupView[], style: Style): string =>
  formatTable(views, columns, style);

const shown = (text: string | null): string | null => (text === null ? null : printable(text));

/** Everything about one backup. */
export function backupDetails(view: BackupView, style: Style): string {
  return formatFacts(
    [
      ["backup", shown(view.id)],
      ["state", paintState(view.state, view, style)],
      ["failure", shown(view.failure)],
      ["attempts", String(view.attempts)],
      ["namespace", shown(view.namespace)],
      ["container", shown(view.containerId)],
      ["image", shown(view.image)],
      ["pod", shown(podText(view.pod))],
      ["snapshot", shown(view.snapshotKey)],
      ["exit", view.exit === null ? null : `code ${view.exit.code} at ${view.exit.at}`],
      ["out of memory", view.outOfMemory ? "yes" : null],
      ["trigger", view.trigger],
      ["consistency", view.consistency],
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
