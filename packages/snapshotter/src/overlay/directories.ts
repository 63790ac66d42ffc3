import { statSync } from "node:fs";
import { chmod, lchown, lstat, mkdir, readdir } from "node:fs/promises";
import { errnoOf, type SnapshotKind } from "@aeon/core";
import { errors } from "../errors.ts";
import { fileError } from "./file-error.ts";
import type { Owner } from "./id-map.ts";
import { filesOf, workOf } from "./mounts.ts";
import { removeEmptySnapshot } from "./remove-empty.ts";

/** containerd's snapshotters make files world-readable and keep overlayfs's own folder shut. */
const modes = { directory: 0o700, files: 0o755, work: 0o711 } as const;

/** The numbered directories below `snapshots`. */
export class Directories {
  readonly path: string;
  readonly #owners = new Map<number, Promise<Owner>>();
  readonly #making = new Set<number>();
  #spare: number | undefined;
  #preparing: Promise<void> | undefined;
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

  /** Id of a directory that is made already, for a new active snapshot; undefined when there is none. */
  takeSpare(): number | undefined {
    const id = this.#spare;
    this.#spare = undefined;
    if (id === undefined) return undefined;
    if (statSync(filesOf(this.path, id), { throwIfNoEntry: false }) !== undefined) return id;
    this.#making.delete(id);
    return undefined;
  }

  /** Makes a directory ahead in the background. What fails is left to {@link make}, which tells why. */
  makeSpare(nextId: () => number): void {
    if (this.#preparing !== undefined || this.#spare !== undefined) return;
    this.#preparing = this.#prepareSpare(nextId()).finally(() => (this.#preparing = undefined));
  }

  /** Gives up the directory made ahead: it becomes an orphan. Answers its id. */
  async dropSpare(): Promise<number | undefined> {
    await this.#preparing;
    const id = this.#spare;
    this.#spare = undefined;
    if (id !== undefined) this.#making.delete(id);
    return id;
  }

  /** Deletes the directory made ahead, at the end; what fails goes at the next start. */
  async deleteSpare(): Promise<void> {
    const id = await this.dropSpare();
    if (id !== undefined) await removeEmptySnapshot(this.of(id));
  }

  /** Makes the directory of a new snapshot, owned like its parent's files unless an owner is given. */
  async make(
    id: number,
    kind: SnapshotKind,
    from: { owner?: Owner | undefined; parent?: number | undefined },
  ): Promise<void> {
    const spare = this.#making.has(id);
    this.#making.add(id);
    try {
      const owner = from.owner ?? (from.parent === undefined ? this.#self : await this.#ownerOf(from.parent));
      if (!spare) await this.#makeEmpty(id, kind);
      if (owner.uid !== this.#self.uid || owner.gid !== this.#self.gid)
        await lchown(filesOf(this.path, id), owner.uid, owner.gid);
    } catch (error) {
      throw fileError(error, `make the directory of snapshot ${id}`);
    }
  }

  async #prepareSpare(id: number): Promise<void> {
    this.#making.add(id);
    try {
      await this.#makeEmpty(id, "active");
      this.#spare = id;
    } catch {
      // An orphan: the next Cleanup or start deletes it.
      this.#making.delete(id);
    }
  }

  async #makeEmpty(id: number, kind: SnapshotKind): Promise<void> {
    await mkdir(this.of(id), modes.directory);
    await allDone([
      makeExactly(filesOf(this.path, id), modes.files),
      ...(kind === "active" ? [mkdir(workOf(this.path, id), modes.work)] : []),
    ]);
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

/** Makes a directory with just these permissions, whatever the umask is at that moment. */
async function makeExactly(path: string, mode: number): Promise<void> {
  await mkdir(path, mode);
  await chmod(path, mode);
}

/** Waits for every step even when one fails, so that nothing appears after a clean-up. */
async function allDone(steps: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(steps)).find((step) => step.status === "rejected");
  if (failed !== undefined) throw failed.reason;
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
