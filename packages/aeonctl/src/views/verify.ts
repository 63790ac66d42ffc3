import type { DamagedName, VerifyReport } from "@aeon/rootfs-backup/inspect";
import { errorMessage, isAeonError } from "@aeon/core";
import { printable } from "../format/printable.ts";
import { humanSize } from "../format/size.ts";
import type { Style } from "../format/style.ts";
import { formatTable, type Column } from "../format/table.ts";

/** Something that is wrong in a store. */
export interface FaultView {
  /** The backup that cannot be restored whole; null for a name in the store that leads to none. */
  readonly backup: string | null;
  /** As in the list of errors. */
  readonly reason: string;
  readonly message: string;
}

/** What `aeonctl backup verify` says. */
export interface VerifyView {
  readonly store: string;
  readonly ok: boolean;
  /** Backups that were checked. */
  readonly backups: number;
  /** Layers that were read, each once. */
  readonly layers: number;
  /** Stored bytes that were read. */
  readonly bytes: number;
  readonly faults: readonly FaultView[];
}

export interface NotFound {
  /** Ids that were asked for and are not there. */
  readonly missing: readonly string[];
  readonly damaged: readonly DamagedName[];
}

export function verifyView(store: string, report: VerifyReport, { missing, damaged }: NotFound): VerifyView {
  const faults: FaultView[] = [];
  for (const id of missing)
    faults.push({ backup: id, reason: "BACKUP_NOT_FOUND", message: `backup ${id} is not in ${store}` });
  for (const { key, error } of damaged)
    faults.push({
      backup: null,
      reason: isAeonError(error) ? error.reason : "BACKUP_DAMAGED",
      message: `${key}: ${errorMessage(error)}`,
    });
  for (const check of report.backups)
    for (const fault of check.faults) faults.push({ backup: check.backup, ...fault });
  const { layers, bytes } = report;
  return { store, ok: faults.length === 0, backups: report.backups.length, layers, bytes, faults };
}

const columns: readonly Column<FaultView>[] = [
  { title: "BACKUP", text: ({ backup }) => backup },
  { title: "REASON", text: ({ reason }) => reason, paint: (text, _fault, style) => style.bad(text) },
  { title: "FAULT", text: ({ message }) => message },
];

/** One line, and a table of what is wrong. */
export function verifyTable(view: VerifyView, style: Style): string {
  const { store, ok, backups, layers, bytes, faults } = view;
  const sum = `${backups} backups, ${layers} layers, ${humanSize(bytes)} in ${printable(store)}`;
  const word = ok ? style.good("verified") : style.bad("damaged");
  return `${word}  ${sum}\n${ok ? "" : `\n${formatTable(faults, columns, style)}`}`;
}
