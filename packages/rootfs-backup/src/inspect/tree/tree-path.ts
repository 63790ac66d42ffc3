const slash = 0x2f;
const dot = Buffer.from(".");

const isRoot = (path: Buffer): boolean => path.equals(dot);

/**
 * The order of paths in a layer: directories before what is in them, siblings by the bytes of their names. A slash
 * counts as less than any other byte, since names hold none.
 */
export function comparePaths(a: Buffer, b: Buffer): number {
  if (isRoot(a) || isRoot(b)) return Number(isRoot(b)) - Number(isRoot(a));
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index += 1) {
    const [left, right] = [a[index] ?? 0, b[index] ?? 0];
    if (left !== right) return (left === slash ? 0 : left) - (right === slash ? 0 : right);
  }
  return a.length - b.length;
}

/** True when the path is inside the folder, at any depth. */
export const isBelow = (path: Buffer, folder: Buffer): boolean =>
  isRoot(folder)
    ? !isRoot(path)
    : path.length > folder.length &&
      path[folder.length] === slash &&
      path.subarray(0, folder.length).equals(folder);

/** A path as a person may write it (`/etc/motd`, `./etc/motd/`) in the form of a layer. */
export function layerPath(text: string): Buffer {
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  return parts.length === 0 ? dot : Buffer.from(parts.join("/"));
}
