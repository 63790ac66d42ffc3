import { AeonError, errnoOf, errorMessage } from "@aeon/core";
import { errors } from "../errors.ts";

const full = new Set(["ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "ENOMEM", "EMLINK"]);
const unavailable = new Set(["ENOENT", "ENOTDIR", "EROFS", "EACCES", "EPERM", "EIO", "ESTALE", "ENOTCONN"]);

/**
 * Gives a failed file operation in the root its code. Never `not-found` or `already-exists`: to containerd those
 * speak of snapshots.
 */
export function fileError(error: unknown, doing: string): AeonError {
  if (error instanceof AeonError) return error;
  const message = `${doing}: ${errorMessage(error)}`;
  const errno = errnoOf(error) ?? "";
  if (full.has(errno)) return errors.SNAPSHOT_DISK_FULL(message, { cause: error });
  if (unavailable.has(errno)) return errors.SNAPSHOT_ROOT_UNAVAILABLE(message, { cause: error });
  return errors.SNAPSHOT_IO_FAILED(message, { cause: error });
}
