import { admin } from "@aeon/proto";
import { humanSize } from "../format/size.ts";
import { formatTable, type Column } from "../format/table.ts";
import type { Style } from "../format/style.ts";
import { enumName } from "./enum-name.ts";
import { isoTime, shortTime } from "./timestamp.ts";

/** One entry of `aeonctl snapshots ls`. */
export interface SnapshotView {
  readonly name: string;
  readonly parent: string | null;
  /** `view`, `active` or `committed`. */
  readonly kind: string;
  readonly createdAt: string | null;
  readonly updatedAt: string | null;
  readonly labels: Readonly<Record<string, string>>;
}

export const snapshotView = (snapshot: admin.Snapshot): SnapshotView => ({
  name: snapshot.name,
  parent: snapshot.parent || null,
  kind: enumName(admin.SnapshotKind, snapshot.kind),
  createdAt: isoTime(snapshot.createdAt),
  updatedAt: isoTime(snapshot.updatedAt),
  labels: snapshot.labels,
});

const snapshotColumns: readonly Column<SnapshotView>[] = [
  { title: "NAME", text: ({ name }) => name },
  { title: "KIND", text: ({ kind }) => kind },
  { title: "CREATED", text: ({ createdAt }) => shortTime(createdAt) },
  { title: "PARENT", text: ({ parent }) => parent },
];

export const snapshotTable = (views: readonly SnapshotView[], style: Style): string =>
  formatTable(views, snapshotColumns, style);

/** One entry of `aeonctl snapshots usage`. */
export interface UsageView {
  readonly name: string;
  /** Bytes in allocated blocks, without parents. */
  readonly size: number;
  readonly inodes: number;
}

export const usageView = ({ name, size, inodes }: admin.SnapshotUsage): UsageView => ({
  name,
  size: Number(size),
  inodes: Number(inodes),
});

const usageColumns: readonly Column<UsageView>[] = [
  { title: "SIZE", text: ({ size }) => humanSize(size), align: "right" },
  { title: "INODES", text: ({ inodes }) => String(inodes), align: "right" },
  { title: "NAME", text: ({ name }) => name },
];

/** The snapshots, largest first, and their sum. */
export function usageTable(views: readonly UsageView[], style: Style): string {
  const total: UsageView = {
    name: "total",
    size: views.reduce((sum, { size }) => sum + size, 0),
    inodes: views.reduce((sum, { inodes }) => sum + inodes, 0),
  };
  return formatTable([...views.toSorted((a, b) => b.size - a.size), total], usageColumns, style);
}
