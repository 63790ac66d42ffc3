import type { Expired } from "@aeon/rootfs-backup/inspect";
import { printable } from "../format/printable.ts";
import { humanSize } from "../format/size.ts";
import type { Style } from "../format/style.ts";
import { formatTable, type Column } from "../format/table.ts";
import { nanosecondTime, shortTime } from "./timestamp.ts";

/** A backup that a rule lets go. */
export interface ExpiredView {
  readonly id: string;
  readonly tenant: string;
  readonly workload: string;
  readonly container: string;
  readonly createdAt: string | null;
  /** Bytes of its own layer. */
  readonly size: number;
  /** `not-kept` by any of the keep rules, `max-age` or `max-bytes`. */
  readonly rule: string;
}

/** What `aeonctl backup retention` says. */
export interface RetentionView {
  readonly store: string;
  /** The rules in force; empty when nothing is ever removed. */
  readonly rules: Readonly<Record<string, number>>;
  readonly expired: readonly ExpiredView[];
}

export const expiredView = ({ ref, cause }: Expired): ExpiredView => ({
  id: ref.id,
  tenant: ref.chain.tenant,
  workload: ref.chain.workload,
  container: ref.chain.container,
  createdAt: nanosecondTime(BigInt(ref.createdAt)),
  size: ref.size,
  rule: cause,
});

const columns: readonly Column<ExpiredView>[] = [
  { title: "BACKUP", text: ({ id }) => id },
  { title: "TENANT", text: ({ tenant }) => tenant },
  { title: "WORKLOAD", text: ({ workload }) => workload },
  { title: "CONTAINER", text: ({ container }) => container },
  { title: "SIZE", text: ({ size }) => humanSize(size), align: "right" },
  { title: "CREATED", text: ({ createdAt }) => shortTime(createdAt) },
  { title: "RULE", text: ({ rule }) => rule },
];

export function retentionText({ store, rules, expired }: RetentionView, style: Style): string {
  if (Object.keys(rules).length === 0) return `no rule removes backups in ${printable(store)}\n`;
  if (expired.length === 0) return `the rules let no backup in ${printable(store)} go\n`;
  return formatTable(expired, columns, style);
}
