import { existsSync } from "node:fs";
import { dirname } from "node:path";

/** The folder, or the closest one above it that exists. */
export function existingFolder(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : existingFolder(dirname(folder));
}
