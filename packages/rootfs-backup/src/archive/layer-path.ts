import { errors } from "../errors.ts";

const slash = 0x2f;
/** NAME_MAX of Linux, plus the prefixes that names in a layer may carry. */
const longestName = 255 + 64;
/** Bytes of a whole path; trees deeper than PATH_MAX are legal. */
const longestPath = 1024 * 1024;

/**
 * Splits a path of an archive into its components; none for the root. Throws `ARCHIVE_HOSTILE` for whatever a
 * writer of layers never produces: absolute paths, `..`, empty components, NUL.
 */
export function splitLayerPath(path: Buffer): Buffer[] {
  if (path.length === 0 || path.length > longestPath || path[0] === slash || path.includes(0))
    throw hostile(path);
  const names: Buffer[] = [];
  for (let start = 0; start <= path.length;) {
    const found = path.indexOf(slash, start);
    const end = found < 0 ? path.length : found;
    const name = path.subarray(start, end);
    // GNU tar starts every path with "./".
    if (!(start === 0 && isDots(name, 1))) names.push(checkName(name, path));
    start = end + 1;
  }
  return names;
}

function checkName(name: Buffer, path: Buffer): Buffer {
  if (name.length === 0 || name.length > longestName || isDots(name, 1) || isDots(name, 2))
    throw hostile(path);
  return name;
}

const isDots = (name: Buffer, count: 1 | 2): boolean => name.equals(Buffer.from("..").subarray(0, count));

const hostile = (path: Buffer) =>
  errors.ARCHIVE_HOSTILE(`archive holds the path ${JSON.stringify(path.subarray(0, 200).toString())}`);
