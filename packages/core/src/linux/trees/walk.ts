import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  opendirSync,
  readFileSync,
  type Stats,
} from "node:fs";
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
  readonly dev: number;
  readonly ino: number;
  /** Its name in the directory above. */
  readonly name: Buffer;
  readonly directories: Buffer[];
}

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Entries after which the walk lets others run. */
const slice = 256;
/** Races with a running container: what was there is gone or has become something else. */
const vanished = new Set(["ENOENT", "ENOTDIR", "ELOOP"]);

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

/** A path to `name` in the open directory `fd` that no renaming or link can lead elsewhere. */
const pathIn = (fd: number, name: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);

/**
 * Walks a tree that may change meanwhile, may be deeper than a path can name, and may hold names in any bytes.
 * Follows no link, enters no other mount and holds two descriptors at most. Yields now and then. A root that is no directory has nothing to
 * visit. Throws other errno errors, and what the visitor throws.
 */
export function* walkTree(root: string, visitor: Visitor): Generator<void, void, undefined> {
  const fd = openDirectory(root);
  if (fd === undefined) return;
  const cursor = new Cursor(fd);
  try {
    yield* cursor.scan(Buffer.alloc(0), visitor);
    while (cursor.depth > 0) {
      const next = cursor.next();
      if (next === undefined) cursor.leave(visitor);
      else if (cursor.enter(next, visitor)) yield* cursor.scan(next, visitor);
    }
  } finally {
    cursor.close();
  }
}

const mountOf = (fd: number): string => mountIdOf(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"));

/** Opens a directory, or nothing if there is none (any more). */
function openDirectory(path: string | Buffer): number | undefined {
  try {
    return openSync(path, directoryFlags);
  } catch (error) {
    if (vanished.has(codeOf(error))) return undefined;
    throw error;
  }
}

/** The directory the walk is in, and what is left to do above it. */
class Cursor {
  readonly #levels: Level[] = [];
  readonly #mount: string;
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
    this.#mount = mountOf(fd);
  }

  get depth(): number {
    return this.#levels.length;
  }

  next(): Buffer | undefined {
    return this.#levels.at(-1)?.directories.pop();
  }

  /** Visits the entries of the current directory and remembers its directories. */
  *scan(name: Buffer, visitor: Visitor): Generator<void, void, undefined> {
    const { dev, ino } = fstatSync(this.#fd);
    const directories: Buffer[] = [];
    this.#levels.push({ dev, ino, name, directories });
    // Latin-1 keeps every byte of a name.
    using directory = opendirSync(`/proc/self/fd/${this.#fd}`, { encoding: "latin1", bufferSize: slice });
    let seen = 0;
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      const child = Buffer.from(entry.name, "latin1");
      const path = pathIn(this.#fd, child);
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      visitor.entry(path, stats);
      if (stats.isDirectory()) directories.push(child);
      if (++seen % slice === 0) yield;
    }
    yield;
  }

  enter(name: Buffer, { otherMounts }: Visitor): boolean {
    const fd = openDirectory(pathIn(this.#fd, name));
    if (fd === undefined) return false;
    const stays = mountOf(fd) === this.#mount;
    if (stays) this.#move(fd);
    else closeSync(fd);
    if (!stays && otherMounts === "refuse") throw foreignMount();
    return stays;
  }

  /** Goes up; ends the walk when the directory has been moved elsewhere meanwhile. */
  leave(visitor: Visitor): void {
    const done = this.#levels.pop();
    const above = this.#levels.at(-1);
    if (done === undefined || above === undefined) return;
    this.#move(openSync(pathIn(this.#fd, Buffer.from("..")), directoryFlags));
    const { dev, ino } = fstatSync(this.#fd);
    if (dev === above.dev && ino === above.ino) visitor.leave?.(pathIn(this.#fd, done.name));
    else this.#levels.length = 0;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #move(fd: number): void {
    closeSync(this.#fd);
    this.#fd = fd;
  }
}
