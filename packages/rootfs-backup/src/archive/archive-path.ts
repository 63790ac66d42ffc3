import { layerName } from "./names.ts";

/** A name in the archive and as the container sees it; both are empty for the root. */
export interface Paths {
  readonly archive: Buffer;
  readonly real: Buffer;
}

const empty = Buffer.alloc(0);
const dot = Buffer.from(".");

/** The root as an entry of its own. */
export const rootEntry: Paths = { archive: dot, real: dot };
/** The root as the folder of others. */
export const rootFolder: Paths = { archive: empty, real: empty };

/** The folder that an entry is to what is in it. */
export const asFolder = (paths: Paths): Paths => (paths === rootEntry ? rootFolder : paths);

export function below(folder: Paths, name: Buffer): Paths {
  const real = joinBytes(folder.real, name);
  const inArchive = layerName(name);
  const same = inArchive === name && folder.archive === folder.real;
  return { real, archive: same ? real : joinBytes(folder.archive, inArchive) };
}

const slash = 0x2f;

export function joinBytes(folder: Buffer, name: Buffer): Buffer {
  if (folder.length === 0) return name;
  const path = Buffer.allocUnsafe(folder.length + 1 + name.length);
  folder.copy(path);
  path[folder.length] = slash;
  name.copy(path, folder.length + 1);
  return path;
}
