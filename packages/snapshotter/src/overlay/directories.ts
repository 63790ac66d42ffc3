import { chmodSync, mkdirSync } from "node:fs";
import { lchown, lstat, readdir } from "node:fs/promises";
import { errnoOf, type SnapshotKind } from "@aeon/core";
import { errors } from "../errors.ts";
import { fileError } from "./file-error.ts";
import type { Owner } from "./id-map.ts";
import { filesOf, workOf } from "./mounts.ts";

/** containerd's snapshotters make files world-readable and keep overlayfs's own folder shut. */
const modes = { directory: 0o700, files: 0o755, work: 0o711 } as const;

/** The numbered directories below `snapshots`. */
export class Directories {
  readonly path: string;
  readonly #owners = new Map<number, Promise<Owner>>();
  readonly #making = new Set<number>();
  readonly #self: Owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };

  constructor(path: string) {
    this.path = path;
  }

  of(id: number): string {
    return `${this.path}/${id}`;
  }

  /** True from {@link make} until {@link made}: the directory has no record yet and is no orphan. */
  isMaking(id: number): boolean {
    return this.#making.has(id);
  }

  /** Makes the directory of a new snapshot, owned like its parent's files unless an owner is given. */
  async make(
    id: number,
    kind: SnapshotKind,
    from: { owner?: Owner | undefined; parent?: number | undefined },
  ): Promise<void> {
    this.#making.add(id);
    try {
      const owner = from.owner ?? (from.parent === undefined ? this.#self : await this.#ownerOf(from.parent));
      this.#makeEmpty(id, kind);
      if (owner.uid !== this.#self.uid || owner.gid !== this.#self.gid)
        await lchown(filesOf(this.path, id), owner.uid, owner.gid);
    } catch (error) {
      throw fileError(error, `make the directory of snapshot ${id}`);
    }
  }

  /** On the spot: handing these calls to a thread takes the event loop longer than making them. */
  #makeEmpty(id: number, kind: SnapshotKind): void {
    const files = filesOf(this.path, id);
    mkdirSync(this.of(id), modes.directory);
    mkdirSync(files, modes.files);
    // Whatever the umask is at that moment.
    chmodSync(files, modes.files);
    if (kind === "active") mkdirSync(workOf(this.path, id), modes.work);
  }

  /** The new directory has its record, or will get none. */
  made(id: number): void {
    this.#making.delete(id);
  }

  /** The record is gone: nothing can be made on it any more. */
  forget(id: number): void {
    this.#owners.delete(id);
  }

  /** Ids of all numbered directories. */
  async list(): Promise<readonly number[]> {
    try {
      const names = await readdir(this.path);
      return names.filter((name) => /^[1-9]\d*$/.test(name)).map(Number);
    } catch (error) {
      throw fileError(error, `list ${this.path}`);
    }
  }

  /** Committed files do not change, so their owner is read once. */
  #ownerOf(parent: number): Promise<Owner> {
    const known = this.#owners.get(parent);
    if (known !== undefined) return known;
    const owner = readOwner(filesOf(this.path, parent));
    this.#owners.set(parent, owner);
    owner.catch(() => this.#owners.delete(parent));
    return owner;
  }
}

async function readOwner(path: string): Promise<Owner> {
  try {
    const { uid, gid } = await lstat(path);
    return { uid, gid };
  } catch (error) {
    if (errnoOf(error) === "ENOENT")
      throw errors.SNAPSHOT_FILES_MISSING(`the parent's files ${path} are missing`, { cause: error });
    throw error;
  }
}
