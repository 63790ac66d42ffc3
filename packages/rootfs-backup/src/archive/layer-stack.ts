import { fstatSync, readdirSync } from "node:fs";
import { errnoOf } from "@aeon/core";
import { DirectoryCursor } from "./directory-cursor.ts";
import { toContainer, type IdMaps } from "./id-map.ts";
import { byBytes } from "./names.ts";
import type { OverlayNamespace } from "./overlay-xattrs.ts";
import { readUpperEntry, type UpperEntry, type UpperFormat } from "./upper-entry.ts";

/** An upper directory, or a lower one in the same form. */
export interface StackedLayer {
  readonly path: string;
  readonly format: UpperFormat;
}

/** An upper directory and the unpacked layers below it. */
export interface StackRequest {
  readonly source: string;
  readonly overlay: OverlayNamespace;
  /** The ids of the upper directory; those of the layers are the container's own. */
  readonly idMaps?: IdMaps | undefined;
  /** The lowest first; none when absent. */
  readonly lowers?: readonly string[] | undefined;
}

/** The layers of a request, the topmost first. */
export function stackOf({ source, overlay, idMaps, lowers = [] }: StackRequest): readonly StackedLayer[] {
  const beneath = lowers.toReversed().map((path) => ({ path, format: { overlay } }));
  return [{ path: source, format: { overlay, ids: idMaps && toContainer(idMaps) } }, ...beneath];
}

/** One name as overlayfs would show it when the stack alone were mounted, deletions included. */
export interface StackEntry {
  readonly entry: UpperEntry;
  /** The path for Node's functions. */
  readonly file: Buffer;
  /** True when another file system is mounted there. */
  readonly foreign: boolean;
}

interface Layer {
  readonly cursor: DirectoryCursor;
  readonly format: UpperFormat;
  readonly device: bigint;
}

/** The directories that make up the current one, the topmost first. */
interface Level {
  readonly layers: readonly Layer[];
  /** Whether it, or one above it, hides what is below the whole stack. */
  readonly covered: boolean;
}

/**
 * Walks one or more layers as the one layer that has the same effect on whatever lies below them: what upper layers
 * delete or replace is left out, and what they hide below the stack stays hidden.
 */
export class LayerStack implements Disposable {
  readonly #levels: Level[] = [];
  readonly #layers: Layer[] = [];
  /** The directory that was read last, in case it is entered. */
  #next: { readonly name: Buffer; readonly level: Level } | undefined;

  /** The topmost layer first; at least one. */
  constructor(layers: readonly StackedLayer[]) {
    try {
      for (const { path, format } of layers) {
        const cursor = new DirectoryCursor(path);
        this.#layers.push({ cursor, format, device: fstatSync(cursor.fd, { bigint: true }).dev });
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    this.#levels.push({ layers: this.#layers, covered: false });
  }

  /** The attributes of the root, which are those of the topmost layer's. */
  root(shownPath: Buffer): UpperEntry {
    const [top] = this.#layers;
    if (top === undefined) throw new RangeError("a stack has at least one layer");
    return readUpperEntry(Buffer.from(`/proc/self/fd/${top.cursor.fd}/.`), shownPath, top.format);
  }

  /** All names in the current directory in the order of layers, deleted ones included. */
  names(): readonly Buffer[] {
    const { layers } = this.#level;
    const lists = layers.map(({ cursor }) =>
      readdirSync(Buffer.from(`/proc/self/fd/${cursor.fd}`), { encoding: "buffer" }),
    );
    const sorted = lists.flat().toSorted(byBytes);
    return lists.length === 1 ? sorted : sorted.filter((name, at) => sorted[at - 1]?.equals(name) !== true);
  }

  /** `hidden`: it only deletes what cannot be seen anyway. `vanished`: it was deleted since {@link names}. */
  read(name: Buffer, shownPath: Buffer): StackEntry | "hidden" | "vanished" {
    const { layers, covered } = this.#level;
    for (const [at, layer] of layers.entries()) {
      const found = readIn(layer, name, shownPath);
      if (found === undefined) continue;
      const { file, entry } = found;
      const foreign = "stat" in entry && entry.stat.dev !== layer.device;
      if (entry.kind === "whiteout" && covered && this.#layers.length > 1) return "hidden";
      if (entry.kind !== "directory" || foreign) return { entry, file, foreign };
      const merged = mergedFrom(layers.slice(at), entry.opaque, name, shownPath);
      this.#next = { name, level: { layers: merged.layers, covered: covered || merged.opaque } };
      return { entry: { ...entry, opaque: merged.opaque }, file, foreign };
    }
    return "vanished";
  }

  /** Goes into the directory that was read last. */
  enter(name: Buffer): void {
    if (this.#next?.name !== name) throw new RangeError("only what was read last can be entered");
    const { level } = this.#next;
    this.#next = undefined;
    for (const { cursor } of level.layers) cursor.enter(name);
    this.#levels.push(level);
  }

  leave(): void {
    for (const { cursor } of this.#levels.pop()?.layers ?? []) cursor.leave();
  }

  [Symbol.dispose](): void {
    for (const { cursor } of this.#layers) cursor[Symbol.dispose]();
  }

  get #level(): Level {
    const level = this.#levels.at(-1);
    if (level === undefined) throw new RangeError("the walk has left its root");
    return level;
  }
}

function readIn(
  { cursor, format }: Layer,
  name: Buffer,
  shownPath: Buffer,
): { readonly file: Buffer; readonly entry: UpperEntry } | undefined {
  const file = cursor.child(name);
  try {
    return { file, entry: readUpperEntry(file, shownPath, format) };
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Which layers a directory is merged from: down to the first that is opaque, or that has something else of its name. */
function mergedFrom(
  [top, ...rest]: readonly Layer[],
  isOpaque: boolean,
  name: Buffer,
  shownPath: Buffer,
): { readonly layers: readonly Layer[]; readonly opaque: boolean } {
  const merged = top === undefined ? [] : [top];
  let opaque = isOpaque;
  for (const layer of rest) {
    if (opaque) break;
    const below = readIn(layer, name, shownPath)?.entry;
    if (below === undefined) continue;
    if (below.kind === "directory") merged.push(layer);
    opaque = below.kind !== "directory" || below.opaque;
  }
  return { layers: merged, opaque };
}
