import { link, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "@aeon/core";
import { syncFolder, writeFlushed } from "./durable-files.ts";

/** Tries all that a store does with a folder. Rejects with what does not work. */
export async function probe(folder: string, name: string): Promise<void> {
  const at = (suffix: string) => join(folder, `${name}.${suffix}`);
  const paths = [at("a"), at("b"), at("c")] as const;
  const [first, second, third] = paths;
  const bytes = Buffer.from(name);
  try {
    await writeFlushed(first, bytes);
    await link(first, second);
    if (!(await isTaken(first, second)))
      throw new Error("a hard link replaced a file instead of finding its name taken");
    await rename(second, third);
    await syncFolder(folder);
    if (!bytes.equals(await readFile(third))) throw new Error("a file reads differently than it was written");
  } finally {
    for (const path of paths)
      await unlink(path).catch((error: unknown) => {
        if (errnoOf(error) !== "ENOENT") throw error;
      });
  }
}

async function isTaken(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return false;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return true;
    throw error;
  }
}
