import { readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "@aeon/core";
import { isAbsence, removeFile, statOrAbsent } from "./durable-files.ts";

interface SweepWritersOptions {
  /** The folder that holds one folder per writer. */
  readonly path: string;
  /** This writer, whose files are its own matter. */
  readonly own: string;
  /** Nanoseconds since the epoch by the store's clock. */
  readonly before: bigint;
}

/** A file of a writer. */
export interface LeftFile {
  readonly file: string;
  readonly size: number;
}

/** Old files of other writers. */
export async function* leftFiles(
  { path, own, before }: SweepWritersOptions,
  signal: AbortSignal,
): AsyncGenerator<LeftFile, void> {
  for (const writer of await namesIn(path))
    if (writer !== own)
      for (const folder of foldersOf(path, writer)) yield* filesBefore(folder, before, signal);
}

/** Deletes old files of other writers, and their folders once these are empty; gives the number of files. */
export async function sweepWriters(
  { path, own, before }: SweepWritersOptions,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  for (const writer of await readdir(path)) {
    if (writer === own) continue;
    for (const folder of foldersOf(path, writer)) {
      const facts = await statOrAbsent(folder);
      if (facts === undefined) continue;
      for await (const { file } of filesBefore(folder, before, signal)) {
        await removeFile(file);
        removed += 1;
      }
      // The folder of a writer that is at work stays, also while it is empty.
      if (facts.mtimeNs >= before) continue;
      await rmdir(folder).catch((error: unknown) => {
        if (!isAbsence(error) && errnoOf(error) !== "ENOTEMPTY") throw error;
      });
    }
  }
  return removed;
}

const namesIn = (path: string): Promise<readonly string[]> =>
  readdir(path).catch((error: unknown) => {
    if (isAbsence(error)) return [];
    throw error;
  });

const foldersOf = (path: string, writer: string): readonly string[] => [
  join(path, writer, "spool"),
  join(path, writer),
];

async function* filesBefore(
  folder: string,
  before: bigint,
  signal: AbortSignal,
): AsyncGenerator<LeftFile, void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (isAbsence(error)) return [];
    throw error;
  });
  for (const entry of entries) {
    signal.throwIfAborted();
    const file = join(folder, entry.name);
    const facts = entry.isDirectory() ? undefined : await statOrAbsent(file);
    if (facts !== undefined && facts.mtimeNs < before) yield { file, size: Number(facts.size) };
  }
}
