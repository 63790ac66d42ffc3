import type { TocEntry } from "../../archive/toc-entry.ts";
import { errors } from "../../errors.ts";
import { comparePaths, isBelow } from "./tree-path.ts";

/** A name in the files of a chain, as a container on top of it would see it. */
export interface TreeEntry {
  readonly entry: TocEntry;
  /** Number of the layer that the name is from; 0 is the lowest. */
  readonly layer: number;
  /** True when nothing of the image below the chain shows through: of a directory, in it. */
  readonly hidesImage: boolean;
}

/**
 * Merges the tables of contents of a chain, the lowest layer first, as overlayfs merges the layers. Names that a
 * layer deleted stay as whiteouts where the image below the chain may have them. Tables are read side by side and
 * little of them is held, so they have to be in the order of layers: throws `ARCHIVE_CORRUPT` otherwise.
 */
export async function* mergeLayers(
  layers: readonly AsyncIterable<TocEntry>[],
): AsyncGenerator<TreeEntry, void> {
  await using heads = new Heads(layers);
  const open: Folder[] = [];
  for (let found = await heads.next(); found !== undefined; found = await heads.next()) {
    while (open.length > 0 && !isBelow(found.path, open.at(-1)?.path ?? found.path)) open.pop();
    const above = open.at(-1) ?? { lowest: 0, hidesImage: false };
    const visible = found.entries.filter(({ layer }) => layer >= above.lowest);
    const top = visible.at(-1);
    if (top === undefined) continue;
    const folder = folderOf(found.path, visible, above);
    open.push(folder);
    if (top.entry.type === "whiteout" && above.hidesImage) continue;
    yield { ...top, hidesImage: top.entry.type === "directory" ? folder.hidesImage : true };
  }
}

interface Numbered {
  readonly entry: TocEntry;
  readonly layer: number;
}

/** What of the layers below can be seen in a directory. */
interface Folder {
  readonly path: Buffer;
  /** Lower layers are hidden in it. */
  readonly lowest: number;
  readonly hidesImage: boolean;
}

/** Looks down from the top until a layer hides what is below it. */
function folderOf(
  path: Buffer,
  visible: readonly Numbered[],
  above: Pick<Folder, "lowest" | "hidesImage">,
): Folder {
  for (const { entry, layer } of visible.toReversed()) {
    if (entry.type !== "directory") return { path, lowest: layer + 1, hidesImage: true };
    if (entry.opaque) return { path, lowest: layer, hidesImage: true };
  }
  return { path, ...above };
}

/** The next entry of every layer. */
class Heads implements AsyncDisposable {
  readonly #layers: readonly AsyncIterator<TocEntry>[];
  readonly #heads: (TocEntry | undefined)[] = [];

  constructor(layers: readonly AsyncIterable<TocEntry>[]) {
    this.#layers = layers.map((layer) => layer[Symbol.asyncIterator]());
  }

  /** The first of all next paths with the entries that layers have for it, the lowest first. */
  async next(): Promise<{ readonly path: Buffer; readonly entries: readonly Numbered[] } | undefined> {
    if (this.#heads.length === 0)
      for (const layer of this.#layers.keys()) this.#heads.push(await this.#read(layer));
    let first: TocEntry | undefined;
    for (const head of this.#heads)
      if (head !== undefined && (first === undefined || comparePaths(head.path, first.path) < 0))
        first = head;
    if (first === undefined) return undefined;
    const entries: Numbered[] = [];
    for (const [layer, entry] of this.#heads.entries()) {
      if (entry === undefined || !entry.path.equals(first.path)) continue;
      entries.push({ entry, layer });
      this.#heads[layer] = await this.#read(layer, entry);
    }
    return { path: first.path, entries };
  }

  async #read(layer: number, previous?: TocEntry): Promise<TocEntry | undefined> {
    const next = await this.#layers[layer]?.next();
    if (next === undefined || next.done === true) return undefined;
    if (previous !== undefined && comparePaths(previous.path, next.value.path) >= 0)
      throw errors.ARCHIVE_CORRUPT(
        `table of contents of layer ${layer} is not in order at ${JSON.stringify(next.value.path.subarray(0, 200).toString())}`,
      );
    return next.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const layer of this.#layers) await layer.return?.();
  }
}
