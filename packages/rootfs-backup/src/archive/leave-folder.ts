import type { DirectoryCursor } from "@aeon/core/trees";
import { errors } from "../errors.ts";

/** Goes up. Throws `ARCHIVE_HOSTILE` when that leads elsewhere than it came from. */
export function leaveFolder(cursor: DirectoryCursor): void {
  if (cursor.depth === 0) throw errors.ARCHIVE_HOSTILE("archive leads above its folder");
  if (!cursor.leave()) throw errors.ARCHIVE_HOSTILE("a directory was moved while it was read or written");
}
