import type { TocEntry } from "../../archive/toc-entry.ts";
import type { TreeEntry } from "./merge-layers.ts";
import { comparePaths } from "./tree-path.ts";

/** What about a name differs. */
export type Difference = "type" | "content" | "mode" | "owner" | "time" | "target" | "device" | "attributes";

/** A name in which two trees differ; `deleted` as well when the later one shows what the image has. */
export interface TreeChange {
  readonly path: Buffer;
  readonly kind: "added" | "changed" | "deleted";
  readonly before?: TreeEntry;
  readonly after?: TreeEntry;
  /** Empty unless `changed`. */
  readonly differences: readonly Difference[];
}

/** Names in which two merged trees differ, in order. Of attributes only the names are compared. */
export async function* diffTrees(
  before: AsyncIterable<TreeEntry>,
  after: AsyncIterable<TreeEntry>,
): AsyncGenerator<TreeChange, void> {
  await using left = new Cursor(before);
  await using right = new Cursor(after);
  for (;;) {
    const [a, b] = [await left.peek(), await right.peek()];
    if (a === undefined && b === undefined) return;
    const order = orderOf(a, b);
    const change = changeOf(order <= 0 ? a : undefined, order >= 0 ? b : undefined);
    if (order <= 0) left.take();
    if (order >= 0) right.take();
    if (change !== undefined) yield change;
  }
}

function orderOf(a: TreeEntry | undefined, b: TreeEntry | undefined): number {
  if (a === undefined || b === undefined) return a === undefined ? 1 : -1;
  return comparePaths(a.entry.path, b.entry.path);
}

const isThere = (found: TreeEntry | undefined): found is TreeEntry =>
  found !== undefined && found.entry.type !== "whiteout";

function changeOf(before: TreeEntry | undefined, after: TreeEntry | undefined): TreeChange | undefined {
  const path = (after ?? before)?.entry.path;
  if (path === undefined) return undefined;
  if (isThere(before) && isThere(after)) {
    const differences = compare(before.entry, after.entry);
    return differences.length === 0 ? undefined : { path, kind: "changed", before, after, differences };
  }
  if (isThere(after)) return { path, kind: "added", after, differences: [] };
  if (isThere(before)) return { path, kind: "deleted", before, differences: [] };
  // Deleted from the image in both, or shown again.
  if (before !== undefined && after !== undefined) return undefined;
  return after === undefined
    ? { path, kind: "added", differences: [] }
    : { path, kind: "deleted", differences: [] };
}

function compare(a: TocEntry, b: TocEntry): readonly Difference[] {
  // A hard link and a file of its own are the same to a reader.
  if (kindOf(a) !== kindOf(b)) return ["type"];
  const differs: Readonly<Record<Exclude<Difference, "type">, boolean>> = {
    content: a.size !== b.size || a.data?.sha256 !== b.data?.sha256,
    mode: a.mode !== b.mode,
    owner: a.uid !== b.uid || a.gid !== b.gid,
    time: a.mtime !== b.mtime,
    target: a.type === b.type && !same(a.target, b.target),
    device: a.device?.major !== b.device?.major || a.device?.minor !== b.device?.minor,
    attributes: a.type === b.type && a.xattrs.join("\0") !== b.xattrs.join("\0"),
  };
  const found: Difference[] = [];
  for (const what of order) if (differs[what]) found.push(what);
  return found;
}

const order = ["content", "mode", "owner", "time", "target", "device", "attributes"] as const;

const kindOf = ({ type }: TocEntry): string => (type === "link" ? "file" : type);

const same = (a: Buffer | undefined, b: Buffer | undefined): boolean =>
  a === undefined || b === undefined ? a === b : a.equals(b);

/** The next entry of a tree. */
class Cursor implements AsyncDisposable {
  readonly #entries: AsyncIterator<TreeEntry>;
  #next: Promise<IteratorResult<TreeEntry, unknown>> | undefined;

  constructor(entries: AsyncIterable<TreeEntry>) {
    this.#entries = entries[Symbol.asyncIterator]();
  }

  async peek(): Promise<TreeEntry | undefined> {
    const next = await (this.#next ??= this.#entries.next());
    return next.done === true ? undefined : next.value;
  }

  take(): void {
    this.#next = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#entries.return?.();
  }
}
