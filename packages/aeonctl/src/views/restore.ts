import { admin } from "@aeon/proto";
import { formatTable, type Column } from "../format/table.ts";
import type { Style } from "../format/style.ts";
import { enumName } from "./enum-name.ts";
import { isoTime, shortTime } from "./timestamp.ts";

/** What `aeonctl restore` says, and one entry of `aeonctl restores ls`. */
export interface RestoreView {
  readonly backup: string;
  readonly namespace: string;
  readonly containerId: string;
  /** `pending`, `done` or `failed`. */
  readonly state: string;
  readonly failure: string | null;
  readonly requestedAt: string | null;
  readonly finishedAt: string | null;
}

export const restoreView = (restore: admin.Restore): RestoreView => ({
  backup: restore.backupId,
  namespace: restore.namespace,
  containerId: restore.containerId,
  state: enumName(admin.RestoreState, restore.state),
  failure: restore.failure || null,
  requestedAt: isoTime(restore.requestedAt),
  finishedAt: isoTime(restore.finishedAt),
});

const columns: readonly Column<RestoreView>[] = [
  { title: "BACKUP", text: ({ backup }) => backup },
  { title: "NAMESPACE", text: ({ namespace }) => namespace },
  { title: "CONTAINER", text: ({ containerId }) => containerId },
  {
    title: "STATE",
    text: ({ state }) => state,
    paint: (text, { state }, style) =>
      state === "done" ? style.good(text) : state === "failed" ? style.bad(text) : style.busy(text),
  },
  { title: "REQUESTED", text: ({ requestedAt }) => shortTime(requestedAt) },
  { title: "FAILURE", text: ({ failure }) => failure },
];

export const restoreTable = (views: readonly RestoreView[], style: Style): string =>
  formatTable(views, columns, style);
