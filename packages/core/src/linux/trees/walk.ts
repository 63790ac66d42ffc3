import { lstatSync, opendirSync, readFileSync, type Stats } from "node:fs";
import { DirectoryCursor } from "./directory-cursor.ts";
import { foreignMount, mountIdOf } from "./mount-id.ts";

/** Calls of a tree walk; every name is raw bytes in the directory open as `fd`. */
export interface Visitor {
  /** What to do with a directory on another mount: `refuse` throws `EBUSY`. */
  readonly otherMounts: "skip" | "refuse";
  /** A file or directory, once, before the directory is entered. */
  entry(path: Buffer, stats: Stats): void;
  /** A directory after everything in it. */
  leave?(path: Buffer): void;
}

interface Level {
  /** Its name in the directory above. */
  readonly name: Buffer;
  readonly directories: Buffer[];
}

/** Entries after which the walk lets others run. */
const slice = 256;
/** Races with a running container: what was there is gone or has become something else. */
const vanished = new Set(["ENOENT", "ENOTDIR", "ELOOP"]);

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

/**
 * Walks a tree that may change meanwhile, may be deeper than a path can name, and may hold names in any bytes.
 * Follows no link, enters no other mount and holds two descriptors at most. Yields now and then. A root that is no
 * directory has nothing to visit. Throws other errno errors, and what the visitor throws.
 */
export function* walkTree(root: string, visitor: Visitor): Generator<void, void, undefined> {
  const cursor = unlessVanished(() => new DirectoryCursor(root, { mostOpen: 0 }));
  if (cursor === undefined) return;
  using walk = new Walk(cursor, visitor);
  yield* walk.scan(Buffer.alloc(0));
  while (walk.depth > 0) {
    const next = walk.next();
    if (next === undefined) walk.leave();
    else if (walk.enter(next)) yield* walk.scan(next);
  }
}

const mountOf = (fd: number): string => mountIdOf(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"));

/** Gives nothing when there is no directory (any more). */
function unlessVanished<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (vanished.has(codeOf(error))) return undefined;
    throw error;
  }
}

/** Where the walk is, and what is left to do in the directories above. */
class Walk implements Disposable {
  readonly #cursor: DirectoryCursor;
  readonly #visitor: Visitor;
  readonly #levels: Level[] = [];
  readonly #mount: string;

  constructor(cursor: DirectoryCursor, visitor: Visitor) {
    this.#cursor = cursor;
    this.#visitor = visitor;
    this.#mount = mountOf(cursor.fd);
  }

  get depth(): number {
    return this.#levels.length;
  }

  next(): Buffer | undefined {
    return this.#levels.at(-1)?.directories.pop();
  }

  /** Visits the entries of the current directory and remembers its directories. */
  *scan(name: Buffer): Generator<void, void, undefined> {
    const directories: Buffer[] = [];
    this.#levels.push({ name, directories });
    const { fd } = this.#cursor;
    // Latin-1 keeps every byte of a name.
    using directory = opendirSync(`/proc/self/fd/${fd}`, { encoding: "latin1", bufferSize: slice });
    let seen = 0;
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      const child = Buffer.from(entry.name, "latin1");
      const path = this.#cursor.child(child);
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      this.#visitor.entry(path, stats);
      if (stats.isDirectory()) directories.push(child);
      if (++seen % slice === 0) yield;
    }
    yield;
  }

  enter(name: Buffer): boolean {
    return unlessVanished(() => this.#cursor.enter(name, (fd) => this.#stays(fd))) ?? false;
  }

  /** Goes up; ends the walk when the directory has been moved elsewhere meanwhile. */
  leave(): void {
    const done = this.#levels.pop();
    if (done === undefined || this.#levels.length === 0) return;
    if (this.#cursor.leave()) this.#visitor.leave?.(this.#cursor.child(done.name));
    else this.#levels.length = 0;
  }

  [Symbol.dispose](): void {
    this.#cursor[Symbol.dispose]();
  }

  #stays(fd: number): boolean {
    const stays = mountOf(fd) === this.#mount;
    if (!stays && this.#visitor.otherMounts === "refuse") throw foreignMount();
    return stays;
  }
}
