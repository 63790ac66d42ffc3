import type { GrowOptions } from "@aeon/testkit";
import type { BenchmarkContext } from "../benchmark.ts";

/** How much is measured. */
export interface Sizes {
  /** A tree as a system with packages of a language has it. */
  readonly tree: GrowOptions;
  /** Bytes of the one large file. */
  readonly file: number;
  /** How often the tree is packed and extracted. */
  readonly rounds: number;
  /** How often the file is packed. */
  readonly fileRounds: number;
  /** Bytes of the layers whose removal is timed. */
  readonly layers: readonly number[];
  /** How often each layer is removed. */
  readonly removals: number;
  /** Backups in a store. */
  readonly backups: number;
}

/** Of the file system that is measured on; only what is used in it takes space. */
export const imageBytes = 24 * 2 ** 30;

const full: Sizes = {
  tree: { seed: 1, files: 80_000, bytes: 1.7e9 },
  file: 5e9,
  rounds: 3,
  fileRounds: 2,
  layers: [1e6, 1e9, 10e9],
  removals: 100,
  backups: 100_000,
};

const small: Sizes = {
  tree: { seed: 1, files: 2000, bytes: 40e6 },
  file: 100e6,
  rounds: 1,
  fileRounds: 1,
  layers: [1e6, 100e6],
  removals: 10,
  backups: 500,
};

export const sizesOf = ({ quick }: BenchmarkContext): Sizes => (quick ? small : full);
