import type { BackupDocument } from "@aeon/rootfs-backup";
import { printable } from "../format/printable.ts";
import { humanSize } from "../format/size.ts";
import type { Style } from "../format/style.ts";
import { formatTable, type Column } from "../format/table.ts";
import { backupDetails, type BackupView } from "./backup.ts";

/** A layer of a backup's chain. */
export interface LayerView {
  readonly digest: string;
  /** Bytes in the store. */
  readonly size: number;
  /** Digest and bytes of the uncompressed layer. */
  readonly diffId: string;
  readonly rawSize: number;
  readonly entries: number;
  /** The backup that it was made with. */
  readonly backup: string;
}

/** Something of a container's files that a backup does not hold as it was. */
export interface DeviationView {
  /** `torn`, `skipped` or `dropped`. */
  readonly kind: string;
  readonly path: string;
  readonly reason: string;
}

/** What the document of a backup says besides. */
export interface DocumentView {
  /** The image that the layers lie on. */
  readonly base: {
    readonly image: string | null;
    /** Of its manifest or index. */
    readonly digest: string | null;
    /** Of all its layers, in the sense of OCI. */
    readonly chainId: string | null;
  } | null;
  /** True when its own layer stands for all that it was made upon. */
  readonly squashed: boolean;
  /** The lowest first. */
  readonly layers: readonly LayerView[];
  /** Names of the backup's own layer by what they are. */
  readonly counts: Readonly<Record<string, number>>;
  readonly deviations: readonly DeviationView[];
  /** All of them; `deviations` holds the first thousand. */
  readonly deviationCount: number;
}

/** What `aeonctl backup show` says; `document` is null while the backup is not stored. */
export interface ShownBackupView extends BackupView {
  readonly document: DocumentView | null;
}

export function documentView({ base, squashed, layers, report, identity }: BackupDocument): DocumentView {
  const image = base?.image ?? identity.image ?? null;
  const hasBase = base !== undefined || image !== null;
  return {
    base: hasBase ? { image, digest: base?.digest ?? null, chainId: base?.chainId ?? null } : null,
    squashed: squashed ?? false,
    layers: layers.map(({ digest, size, diffId, rawSize, entries, backup }) => ({
      digest,
      size,
      diffId,
      rawSize,
      entries,
      backup,
    })),
    counts: report.counts,
    deviations: report.deviations,
    deviationCount: report.deviationCount,
  };
}

/** The facts, what lies on what, and what was not kept as it was. */
export function shownBackup({ document, ...view }: ShownBackupView, style: Style): string {
  const details = backupDetails(view, style);
  if (document === null) return details;
  return [details, chainPicture(view.id, document, style), fidelity(document, style)].join("\n");
}

function chainPicture(id: string, { base, layers, squashed }: DocumentView, style: Style): string {
  const rows = [
    base === null ? "no image" : `image ${printable(base.image ?? base.chainId ?? "unknown")}`,
    ...layers.map(({ backup, size, entries }) => {
      const shown = backup === id ? style.good(backup) : backup;
      return `${shown}  ${style.faint(`${humanSize(size)}, ${entries} entries`)}`;
    }),
  ];
  const own = layers.some(({ backup }) => backup === id)
    ? []
    : [`${style.good(id)}  ${style.faint("no changes")}`];
  const note = squashed ? `${style.faint("its layer stands for all it was made upon")}\n` : "";
  const lines = [...rows, ...own].map((row, depth) =>
    depth === 0 ? row : `${"   ".repeat(depth - 1)}└─ ${row}`,
  );
  return `${lines.join("\n")}\n${note}`;
}

const columns: readonly Column<DeviationView>[] = [
  { title: "FIDELITY", text: ({ kind }) => kind, paint: (text, _row, style) => style.busy(text) },
  { title: "PATH", text: ({ path }) => path },
  { title: "REASON", text: ({ reason }) => reason },
];

function fidelity({ counts, deviations, deviationCount }: DocumentView, style: Style): string {
  const kept = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${count} ${what}`)
    .join(", ");
  const sum = `${style.faint("kept")}  ${kept === "" ? "nothing" : kept}\n`;
  if (deviationCount === 0) return `${sum}${style.faint("lost")}  ${style.good("nothing")}\n`;
  const more = deviationCount > deviations.length ? `… and ${deviationCount - deviations.length} more\n` : "";
  return `${sum}\n${formatTable(deviations, columns, style)}${more}`;
}
