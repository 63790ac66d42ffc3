import type { TreeChange, TreeEntry } from "@aeon/rootfs-backup/inspect";
import { humanSize } from "../format/size.ts";
import type { Style } from "../format/style.ts";
import { formatTable, type Column } from "../format/table.ts";

/** One entry of `aeonctl backup diff`. */
export interface ChangeView {
  /** Absolute; bytes that are not UTF-8 are replaced. */
  readonly path: string;
  /** `added`, `changed` or `deleted`. */
  readonly change: string;
  /** Type of what is there, or was. */
  readonly type: string | null;
  /** What differs: `type`, `content`, `mode`, `owner`, `time`, `target`, `device`, `attributes`. */
  readonly differences: readonly string[];
  /** Bytes of the file before and after. */
  readonly sizeBefore: number | null;
  readonly sizeAfter: number | null;
}

const sizeOf = (found: TreeEntry | undefined): number | null =>
  found?.entry.type === "file" || found?.entry.type === "link" ? found.entry.size : null;

export const changeView = ({ path, kind, before, after, differences }: TreeChange): ChangeView => ({
  path: path.toString() === "." ? "/" : `/${path.toString()}`,
  change: kind,
  type: (after ?? before)?.entry.type ?? null,
  differences,
  sizeBefore: sizeOf(before),
  sizeAfter: sizeOf(after),
});

const sizeText = (size: number | null): string | null => (size === null ? null : humanSize(size));

const paint = (text: string, { change }: ChangeView, style: Style): string =>
  change === "added" ? style.good(text) : change === "deleted" ? style.bad(text) : style.busy(text);

const columns: readonly Column<ChangeView>[] = [
  { title: "CHANGE", text: ({ change }) => change, paint },
  { title: "BEFORE", text: ({ sizeBefore }) => sizeText(sizeBefore), align: "right" },
  { title: "AFTER", text: ({ sizeAfter }) => sizeText(sizeAfter), align: "right" },
  { title: "WHAT", text: ({ differences }) => differences.join(",") },
  { title: "PATH", text: ({ path }) => path },
];

export const changeTable = (changes: readonly ChangeView[], style: Style): string =>
  formatTable(changes, columns, style);
