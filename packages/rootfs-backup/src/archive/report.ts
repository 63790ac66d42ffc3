/** Something of a layer that its archive does not hold as it was. */
export interface Deviation {
  /**
   * `skipped`: not in the archive. `dropped`: an attribute is missing. `torn`: the file changed while it was read.
   * `excluded`: left out on request.
   */
  readonly kind: "skipped" | "dropped" | "torn" | "excluded";
  /** For people: bytes that are not UTF-8 are replaced. */
  readonly path: string;
  readonly reason: string;
}

/** What was archived, and how faithfully. */
export interface PackReport {
  /** Entries by what they are. Hard links count as `links`, the first name of a file as what it is. */
  readonly counts: Readonly<Record<EntryCount, number>>;
  /** At most {@link mostDeviations}; `deviationCount` counts all. */
  readonly deviations: readonly Deviation[];
  readonly deviationCount: number;
  /** Files whose content or existence changed while they were read; none in a layer that nobody uses. */
  readonly torn: number;
  /** Times that a changed file was read again, which mostly helps. */
  readonly retried: number;
}

export type EntryCount =
  | "files"
  | "directories"
  | "symlinks"
  | "links"
  | "devices"
  | "fifos"
  | "whiteouts"
  | "opaques";

/** Deviations that are kept with their path. */
export const mostDeviations = 1000;

export class ReportBuilder {
  readonly #counts: Record<EntryCount, number> = {
    files: 0,
    directories: 0,
    symlinks: 0,
    links: 0,
    devices: 0,
    fifos: 0,
    whiteouts: 0,
    opaques: 0,
  };
  readonly #deviations: Deviation[] = [];
  #deviationCount = 0;
  #torn = 0;
  #retried = 0;

  count(what: EntryCount): void {
    this.#counts[what] += 1;
  }

  deviation(kind: Deviation["kind"], path: Buffer, reason: string): void {
    this.#deviationCount += 1;
    if (kind === "torn") this.#torn += 1;
    if (this.#deviations.length < mostDeviations)
      this.#deviations.push({ kind, path: path.toString(), reason });
  }

  retried(): void {
    this.#retried += 1;
  }

  build(): PackReport {
    return {
      counts: this.#counts,
      deviations: this.#deviations,
      deviationCount: this.#deviationCount,
      torn: this.#torn,
      retried: this.#retried,
    };
  }
}
