import { errorMessage, type linux } from "@aeon/core";
import { errors } from "../errors.ts";
import { parseLayerName } from "./names.ts";
import type { TarEntry } from "./tar-entry.ts";

/** A path for an error. */
export const shown = (path: Buffer): string => JSON.stringify(path.subarray(0, 200).toString());

/** A component on the way to an entry, which cannot be a whiteout or a marker. */
export function realName(name: Buffer, entry: TarEntry): Buffer {
  const meaning = parseLayerName(name);
  if (meaning.kind !== "file")
    throw errors.ARCHIVE_HOSTILE(`archive holds ${shown(entry.path)} below a deleted file`);
  return checked(meaning.name);
}

/** What is left of a name without its prefix must be a name still. */
export function checked(name: Buffer): Buffer {
  const text = name.toString("latin1");
  if (text === "" || text === "." || text === ".." || name.length > 255)
    throw errors.ARCHIVE_HOSTILE(`archive holds the name ${shown(name)}`);
  return name;
}

/** 0:0 would be a whiteout; layers write those as `.wh.` names only. */
export function deviceOf(entry: TarEntry): linux.DeviceNumber {
  const device = entry.device ?? { major: 0, minor: 0 };
  if (entry.type === "character" && device.major === 0 && device.minor === 0)
    throw errors.ARCHIVE_HOSTILE(`archive holds the device 0:0 at ${shown(entry.path)}`);
  return device;
}

/** What the kernel, or Node before it, does not take from anybody. */
const impossible = new Set([
  "ENAMETOOLONG",
  "EINVAL",
  "E2BIG",
  "EFBIG",
  "ERANGE",
  "ERR_INVALID_ARG_VALUE",
  "ERR_OUT_OF_RANGE",
]);

/** The error for an entry that could not be made: the archive's fault is called so. */
export function refusal(entry: TarEntry, error: unknown): unknown {
  // Node's own checks have codes that are no errno.
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const errno = typeof code === "string" ? code : "";
  if (errno === "EEXIST") return duplicate(entry, error);
  // Only a link without a target is not there when it is made.
  if (impossible.has(errno) || (errno === "ENOENT" && entry.type === "symlink"))
    return errors.ARCHIVE_CORRUPT(
      `archive holds ${shown(entry.path)}, which no file system has: ${errorMessage(error)}`,
      { cause: error },
    );
  return error;
}

/** For a name that the archive has held before. */
export const duplicate = (entry: TarEntry, cause?: unknown) =>
  errors.ARCHIVE_HOSTILE(`archive holds ${shown(entry.path)} twice`, { cause });
