import type { EncryptionKey } from "../../archive/encryption-key.ts";
import type { LayerBlob } from "../../archive/layer-file.ts";
import { readContent } from "../../archive/read-content.ts";
import type { TocEntry } from "../../archive/toc-entry.ts";
import { errors } from "../../errors.ts";
import { readContents, readIndex, type ReadBlob } from "../read-blob.ts";
import { mergeLayers, type TreeEntry } from "./merge-layers.ts";
import { comparePaths, isBelow } from "./tree-path.ts";

export interface ChainTreeOptions {
  /** To find those that encrypted layers need. */
  readonly keys?: readonly EncryptionKey[];
  readonly signal: AbortSignal;
}

/** The files of a chain of layers, without those of the image below it. */
export class ChainTree {
  readonly #layers: readonly LayerBlob[];
  readonly #read: ReadBlob;
  readonly #keys: readonly EncryptionKey[];
  readonly #signal: AbortSignal;

  /** `layers`: the lowest first. */
  constructor(layers: readonly LayerBlob[], read: ReadBlob, { keys = [], signal }: ChainTreeOptions) {
    this.#layers = layers;
    this.#read = read;
    this.#keys = keys;
    this.#signal = signal;
  }

  /** All names in order; reads tables of contents and nothing else. Throws `ARCHIVE_CORRUPT`. */
  entries(): AsyncGenerator<TreeEntry, void> {
    return mergeLayers(
      this.#layers.map((layer) => readContents(this.#read, layer, this.#signal, this.#keys)),
    );
  }

  /** A name and all below it. Throws `FILE_NOT_FOUND` when there is none. */
  async *below(path: Buffer): AsyncGenerator<TreeEntry, void> {
    let isFound = false;
    for await (const found of this.entries()) {
      const order = comparePaths(found.entry.path, path);
      const isInside = order === 0 || isBelow(found.entry.path, path);
      if (isInside) yield found;
      else if (order > 0) break;
      isFound ||= isInside;
    }
    if (!isFound) throw notFound(path);
  }

  /** One name, deleted ones included. Throws `FILE_NOT_FOUND`. */
  async find(path: Buffer): Promise<TreeEntry> {
    for await (const found of this.below(path)) if (found.entry.path.equals(path)) return found;
    throw notFound(path);
  }

  /** The content of a file; only the parts of a layer that hold it are read, and verified at the end. */
  async *content({ entry, layer: number }: TreeEntry): AsyncGenerator<Buffer, void> {
    const layer = this.#layers[number];
    if (layer === undefined) throw new RangeError(`no layer ${number}`);
    checkRegular(entry);
    const index = await readIndex(this.#read, layer, this.#keys);
    const source = (offset: number, length: number) => {
      this.#signal.throwIfAborted();
      return this.#read(layer, { offset, length });
    };
    yield* readContent(source, index, entry);
  }
}

/** Throws `FILE_WITHOUT_CONTENT` for what is neither a file nor a hard link to one. */
function checkRegular({ type, path, target }: TocEntry): void {
  if (type === "file" || type === "link") return;
  const what = type === "symlink" ? `a link to ${target?.toString() ?? "nothing"}` : names[type];
  throw errors.FILE_WITHOUT_CONTENT(`/${path.toString()} is ${what}, which has no content to show`, {
    details: { path: path.toString(), type },
  });
}

const names: Readonly<Record<Exclude<TocEntry["type"], "file" | "link" | "symlink">, string>> = {
  character: "a character device",
  block: "a block device",
  directory: "a directory",
  fifo: "a named pipe",
  whiteout: "deleted",
};

const notFound = (path: Buffer) =>
  errors.FILE_NOT_FOUND(
    `/${path.toString()} is not in the backup: it does not exist, or it is the image's and was not changed`,
    { details: { path: path.toString() } },
  );
