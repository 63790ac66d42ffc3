import { printable } from "../format/printable.ts";
import { humanSize } from "../format/size.ts";
import type { Style } from "../format/style.ts";
import { formatTable, type Column } from "../format/table.ts";

/** An object that a dry run found. */
interface SweptObject {
  /** `manifest`, `config`, `data`, `name`, `note` or `unfinished`. */
  readonly kind: string;
  /** Where it is in the store. */
  readonly key: string;
  readonly size?: number;
  /** The backup that it describes. */
  readonly backup?: string;
}

/** What `aeonctl backup gc` says. */
export interface SweepView {
  readonly store: string;
  /** True when nothing was deleted, only counted. */
  readonly dryRun: boolean;
  /** Blobs deleted, and their bytes. */
  readonly blobs: number;
  readonly bytes: number;
  /** Blobs that something needs. */
  readonly kept: number;
  /** False when something could not be read; the next run goes on. */
  readonly complete: boolean;
  /** All that would be deleted, in a dry run. */
  readonly objects?: readonly SweptObject[];
}

type Counts = Pick<SweepView, "blobs" | "bytes" | "kept" | "complete">;

interface Run {
  readonly dryRun: boolean;
  readonly doomed: readonly SweptObject[];
}

export const sweepView = (store: string, counts: Counts, { dryRun, doomed }: Run): SweepView => ({
  store,
  dryRun,
  blobs: counts.blobs,
  bytes: counts.bytes,
  kept: counts.kept,
  complete: counts.complete,
  ...(dryRun && { objects: doomed }),
});

const columns: readonly Column<SweptObject>[] = [
  { title: "KIND", text: ({ kind }) => kind },
  { title: "SIZE", align: "right", text: ({ size }) => (size === undefined ? null : humanSize(size)) },
  { title: "BACKUP", text: ({ backup }) => backup ?? null },
  { title: "KEY", text: ({ key }) => key },
];

export function sweepText(view: SweepView, style: Style): string {
  const { store, dryRun, blobs, bytes, kept, complete, objects = [] } = view;
  const list = objects.length === 0 ? "" : `${formatTable(objects, columns, style)}\n`;
  const what = `${dryRun ? "would delete" : "deleted"} ${blobs} blobs of ${humanSize(bytes)}, kept ${kept}`;
  return `${list}${what}, in ${printable(store)}${complete ? "" : "; not complete, run it again"}\n`;
}
