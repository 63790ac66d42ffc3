import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Dirent } from "node:fs";
import { isMutable } from "../object-key.ts";
import type { ObjectKey } from "../object-store.ts";
import { isAbsence } from "./durable-files.ts";

async function entriesOf(path: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

/** Keys of all files below a folder; replaceable ones by their name, also without the copy of that name. */
export async function* walk(
  root: string,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<ObjectKey, void> {
  signal.throwIfAborted();
  const entries = await entriesOf(join(root, prefix));
  const names = new Set(entries.map(({ name }) => name));
  for (const entry of entries) {
    const { name } = entry;
    if (entry.isDirectory() && name.startsWith(".")) {
      if (isMutable(name.slice(1))) yield `${prefix}${name.slice(1)}`;
    } else if (entry.isDirectory()) yield* walk(root, `${prefix}${name}/`, signal);
    else if (!name.startsWith(".") && !names.has(`.${name}`)) yield `${prefix}${name}`;
  }
}

export async function foldersIn(path: string): Promise<readonly string[]> {
  const entries = await entriesOf(path);
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map(({ name }) => name);
}
