import { printable } from "../format/printable.ts";
import { humanSize } from "../format/size.ts";

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
}

type Counts = Pick<SweepView, "blobs" | "bytes" | "kept" | "complete">;

export const sweepView = (store: string, counts: Counts, dryRun: boolean): SweepView => ({
  store,
  dryRun,
  blobs: counts.blobs,
  bytes: counts.bytes,
  kept: counts.kept,
  complete: counts.complete,
});

export function sweepText({ store, dryRun, blobs, bytes, kept, complete }: SweepView): string {
  const what = `${dryRun ? "would delete" : "deleted"} ${blobs} blobs of ${humanSize(bytes)}, kept ${kept}`;
  return `${what}, in ${printable(store)}${complete ? "" : "; not complete, run it again"}\n`;
}
