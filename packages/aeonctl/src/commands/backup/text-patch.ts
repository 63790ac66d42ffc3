import type { ChainTree, TreeChange, TreeEntry } from "@aeon/rootfs-backup/inspect";
import { isUtf8 } from "node:buffer";
import { printable } from "../../format/printable.ts";

/** Larger files are not compared line by line. */
const largestText = 1024 * 1024;

export interface Trees {
  readonly left: ChainTree | undefined;
  readonly right: ChainTree;
}

/** How the content of a file differs, as a unified patch; empty when only its attributes do, or it is no file. */
export async function textPatch(change: TreeChange, path: string, { left, right }: Trees): Promise<string> {
  const { kind, before, after, differences } = change;
  if (kind === "changed" && !differences.includes("content") && !differences.includes("type")) return "";
  if (!isFile(before) && !isFile(after)) return "";
  const shown = printable(path);
  const [old, now] = [await textOf(left, before), await textOf(right, after)];
  if (old === undefined || now === undefined) return `Binary files a${shown} and b${shown} differ\n`;
  const { createTwoFilesPatch } = await import("diff");
  const patch = createTwoFilesPatch(
    isFile(before) ? `a${shown}` : "/dev/null",
    isFile(after) ? `b${shown}` : "/dev/null",
    old,
    now,
  );
  // The library starts with a line of its own; what follows is what `patch` reads.
  return patch
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t").map(printable).join("\t"))
    .join("\n");
}

const isFile = (found: TreeEntry | undefined): found is TreeEntry =>
  found?.entry.type === "file" || found?.entry.type === "link";

/** Undefined for what is no text. */
async function textOf(
  tree: ChainTree | undefined,
  found: TreeEntry | undefined,
): Promise<string | undefined> {
  if (tree === undefined || !isFile(found)) return "";
  if (found.entry.size > largestText) return undefined;
  const bytes = Buffer.concat(await Array.fromAsync(tree.content(found)));
  return isUtf8(bytes) && !bytes.includes(0) ? bytes.toString() : undefined;
}
