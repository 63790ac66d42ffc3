import { readdir, readFile, link, rename, rmdir, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errnoOf } from "@aeon/core";
import { isAbsence, publish, removeFile, statOrAbsent } from "./durable-files.ts";

/** The latest content of a replaceable file. */
export interface Generation {
  /** Rises by one with every replacement; 0 for a plain file that some other tool put there. */
  readonly number: number;
  readonly path: string;
}

/** Generations that are kept whatever their age, and how long the others are kept, in nanoseconds. */
const keptGenerations = 4;
const keptNs = 600n * 1_000_000_000n;

const nameOf = (number: number): string => String(number).padStart(10, "0");

/** The hidden folder beside a replaceable file that holds its generations. */
export const generationsOf = (path: string): string => join(dirname(path), `.${basename(path)}`);

/**
 * Replaces a file by compare-and-swap with nothing but links, which are atomic on NFS too, and without locks, which
 * a crashed writer would leave behind. `.HEAD.json/0000000007` is the seventh content; the highest number counts.
 * Whoever links the next number first has replaced it, all others find the name taken. Old numbers are deleted in
 * rising order and late, so a writer that finds its predecessor in place knows that its own number was never used
 * before. The file itself is a copy for people and other tools.
 */
export class Generations {
  readonly #root: string;
  readonly #newName: () => string;

  /** `newName` gives unused names on the file system of the root. */
  constructor(root: string, newName: () => string) {
    this.#root = root;
    this.#newName = newName;
  }

  async latest(path: string): Promise<Generation | undefined> {
    const folder = generationsOf(path);
    const number = (await numbersIn(folder)).at(-1);
    if (number !== undefined) return { number, path: join(folder, nameOf(number)) };
    return (await statOrAbsent(path)) === undefined ? undefined : { number: 0, path };
  }

  /** Undefined when there is none. A generation may be deleted while it is read; the next one is there then. */
  async read(path: string): Promise<{ readonly number: number; readonly bytes: Buffer } | undefined> {
    for (;;) {
      const latest = await this.latest(path);
      if (latest === undefined) return undefined;
      try {
        return { number: latest.number, bytes: await readFile(latest.path) };
      } catch (error) {
        if (!isAbsence(error)) throw error;
      }
    }
  }

  /** Takes a flushed file as the next content if the latest one is the expected; false when it is not. */
  async replace(path: string, temporary: string, expected: number | undefined): Promise<boolean> {
    const latest = await this.latest(path);
    if (latest?.number !== expected) {
      await unlink(temporary);
      return false;
    }
    const folder = generationsOf(path);
    const number = (expected ?? 0) + 1;
    if (!(await publish(temporary, join(folder, nameOf(number)), this.#root))) return false;
    if (!(await this.#isValid(path, number))) {
      await removeFile(join(folder, nameOf(number)));
      return false;
    }
    await this.#copyOut(path, number);
    await prune(folder, number);
    return true;
  }

  async remove(path: string): Promise<void> {
    const folder = generationsOf(path);
    // The copy first: it would count again without the generations.
    await removeFile(path);
    for (const number of await numbersIn(folder)) await removeFile(join(folder, nameOf(number)));
    await rmdir(folder).catch((error: unknown) => {
      if (!isAbsence(error) && errnoOf(error) !== "ENOTEMPTY") throw error;
    });
  }

  /** A writer that slept so long that its predecessor is deleted may have taken a number that was used before. */
  async #isValid(path: string, number: number): Promise<boolean> {
    if (number === 1) return true;
    const folder = generationsOf(path);
    if ((await statOrAbsent(join(folder, nameOf(number - 1)))) !== undefined) return true;
    return (await numbersIn(folder)).at(-1) === number;
  }

  /** Not flushed: nobody depends on it. */
  async #copyOut(path: string, number: number): Promise<void> {
    const temporary = this.#newName();
    try {
      await link(join(generationsOf(path), nameOf(number)), temporary);
      await rename(temporary, path);
    } catch (error) {
      if (!isAbsence(error)) throw error;
    }
  }
}

async function numbersIn(folder: string): Promise<readonly number[]> {
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => /^\d{10}$/.test(name))
      .map(Number)
      .toSorted((a, b) => a - b);
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

/** Times are compared with that of the newest file, so only the store's clock counts. */
async function prune(folder: string, newest: number): Promise<void> {
  const now = (await statOrAbsent(join(folder, nameOf(newest))))?.mtimeNs;
  const numbers = await numbersIn(folder);
  for (const [index, number] of numbers.entries()) {
    const next = numbers[index + 1];
    if (now === undefined || next === undefined || number > newest - keptGenerations) return;
    const replacedAt = (await statOrAbsent(join(folder, nameOf(next))))?.mtimeNs;
    if (replacedAt !== undefined && replacedAt > now - keptNs) return;
    await removeFile(join(folder, nameOf(number)));
  }
}
