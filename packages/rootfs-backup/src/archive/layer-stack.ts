import { errnoOf, linux } from "@aeon/core";
import { DirectoryCursor } from "@aeon/core/trees";
import { toContainer, type IdMaps } from "./id-map.ts";
import { leaveFolder } from "./leave-folder.ts";
import { overlayXattr, type OverlayNamespace } from "./overlay-xattrs.ts";
import { isWhiteout, kindOf, readUpperEntry, type UpperEntry, type UpperFormat } from "./upper-entry.ts";

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
  readonly status: linux.FileStatus;
  /** The name is deleted. */
  readonly whiteout: boolean;
  /** True when another file system is mounted there. */
  readonly foreign: boolean;
  /** Open: the directory of the layer that has it. */
  readonly directory: number;
  /** The path for Node's functions. */
  readonly file: Buffer;
  readonly format: UpperFormat;
  /** Of the layers of the current directory, the one that has it. */
  readonly at: number;
}

interface Layer {
  readonly cursor: DirectoryCursor;
  readonly format: UpperFormat;
  readonly device: number;
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

  /** The topmost layer first; at least one. */
  constructor(layers: readonly StackedLayer[]) {
    try {
      for (const { path, format } of layers) {
        const cursor = new DirectoryCursor(path);
        this.#layers.push({ cursor, format, device: linux.statDescriptorSync(cursor.fd).device });
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
    return directoryEntry(top, shownPath);
  }

  /** All names in the current directory as Latin-1 text in the order of layers, deleted ones included. */
  names(): readonly string[] {
    const { layers } = this.#level;
    // The order of Latin-1 text is that of its bytes.
    const sorted = layers.flatMap(({ cursor }) => linux.listNamesSync(cursor.fd)).toSorted();
    return layers.length === 1 ? sorted : sorted.filter((name, at) => sorted[at - 1] !== name);
  }

  /** `hidden`: it only deletes what cannot be seen anyway. `vanished`: it was deleted since {@link names}. */
  find(name: Buffer): StackEntry | "hidden" | "vanished" {
    const { layers, covered } = this.#level;
    for (const [at, { cursor, format, device }] of layers.entries()) {
      const status = statusIn(cursor, name);
      if (status === undefined) continue;
      const file = cursor.child(name);
      const whiteout = isDeleted(status, file, format);
      if (whiteout && covered && this.#layers.length > 1) return "hidden";
      return { status, whiteout, foreign: status.device !== device, directory: cursor.fd, file, format, at };
    }
    return "vanished";
  }

  /**
   * Goes into a directory that was found and gives its merged attributes. Fails with `ENOTDIR`, `ELOOP` or `ENOENT`
   * when it was replaced, and stays where it was.
   */
  enter(name: Buffer, at: number, shownPath: Buffer): UpperEntry {
    const { layers, covered } = this.#level;
    const [top, ...rest] = layers.slice(at);
    if (top === undefined) throw new RangeError("only what was found can be entered");
    top.cursor.enter(name);
    const merged = [top];
    try {
      const entry = directoryEntry(top, shownPath);
      const opaque = mergeBelow(merged, rest, entry.opaque, name, shownPath);
      this.#levels.push({ layers: merged, covered: covered || opaque });
      return { ...entry, opaque };
    } catch (error) {
      for (const { cursor } of merged) leaveFolder(cursor);
      throw error;
    }
  }

  leave(): void {
    for (const { cursor } of this.#levels.pop()?.layers ?? []) leaveFolder(cursor);
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

function statusIn({ fd }: DirectoryCursor, name: Buffer): linux.FileStatus | undefined {
  try {
    return linux.statAtSync(fd, name);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** An empty file deletes too when it carries overlayfs's mark. */
function isDeleted(status: linux.FileStatus, file: Buffer, { overlay }: UpperFormat): boolean {
  if (isWhiteout(status)) return true;
  if (status.size !== 0 || kindOf(status) !== "file") return false;
  const mark = overlayXattr(overlay, "whiteout");
  return linux.listXattrsSync(file).some((name) => name.equals(mark));
}

/** The directory in which the layer's cursor stands. */
function directoryEntry({ cursor, format }: Layer, path: Buffer): UpperEntry {
  const status = linux.statDescriptorSync(cursor.fd);
  return readUpperEntry({ kind: "directory", status, at: cursor.fd, path }, format);
}

/**
 * Adds the layers that a directory is merged from: down to the first that is opaque, or that has something else of
 * its name; then true, since nothing below shows through.
 */
function mergeBelow(
  merged: Layer[],
  layers: readonly Layer[],
  isOpaque: boolean,
  name: Buffer,
  shownPath: Buffer,
): boolean {
  for (const layer of layers) {
    if (isOpaque) break;
    const status = statusIn(layer.cursor, name);
    if (status === undefined) continue;
    if (kindOf(status) !== "directory") return true;
    layer.cursor.enter(name);
    merged.push(layer);
    isOpaque = directoryEntry(layer, shownPath).opaque;
  }
  return isOpaque;
}
