import type { admin } from "@aeon/proto";
import type { Style } from "../format/style.ts";
import { formatTable, type Column } from "../format/table.ts";
import { backupView, type BackupView } from "./backup.ts";

/** One container of a drain. */
export interface DrainedView {
  readonly namespace: string;
  readonly containerId: string;
  readonly backup: BackupView | null;
  /** Why its backup is not stored; null when it is. */
  readonly failure: string | null;
}

/** What `aeonctl backup drain` says. */
export interface DrainView {
  readonly containers: readonly DrainedView[];
  /** Containers whose backup is not stored. */
  readonly failed: number;
  /** All backups of the host that are not stored. */
  readonly pending: number;
}

export function drainView(messages: readonly admin.DrainBackupsResponse[]): DrainView {
  const summary = messages.find((message) => message.summary !== undefined)?.summary;
  const containers = messages
    .filter((message) => message.summary === undefined)
    .map(({ namespace, containerId, backup, failure }) => ({
      namespace,
      containerId,
      backup: backup === undefined ? null : backupView(backup),
      failure: failure || null,
    }));
  // An agent that did not come to its end has not stored everything.
  return { containers, failed: summary?.failed ?? containers.length, pending: summary?.pending ?? 0 };
}

const columns: readonly Column<DrainedView>[] = [
  { title: "NAMESPACE", text: ({ namespace }) => namespace },
  { title: "CONTAINER", text: ({ containerId }) => containerId },
  { title: "BACKUP", text: ({ backup }) => backup?.id ?? null },
  { title: "CONSISTENCY", text: ({ backup }) => backup?.consistency ?? null },
];

export const drainTable = ({ containers }: DrainView, style: Style): string =>
  formatTable(containers, columns, style);
