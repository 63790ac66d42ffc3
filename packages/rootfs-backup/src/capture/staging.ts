import { existsSync, lstatSync, mkdirSync, renameSync, rmdirSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, rename, rm, rmdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { backupId, errnoOf, type BackupId } from "@aeon/core";
import { layerFiles } from "../archive/blob-descriptor.ts";
import { errors } from "../errors.ts";
import { syncFolder } from "../objects/posix/durable-files.ts";
import { reached } from "./steps.ts";

/** Begins the names of folders in which archives are made. */
const attemptPrefix = "pack-";

/** Holds captured layers, each as `<id>/fs`, until they are stored. */
export class Staging {
  readonly path: string;
  readonly #device: bigint;
  #problem: string | undefined;

  private constructor(path: string, device: bigint) {
    this.path = path;
    this.#device = device;
  }

  static async open(path: string): Promise<Staging> {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await syncFolder(dirname(path));
    const { dev } = await lstat(path, { bigint: true });
    return new Staging(path, dev);
  }

  /** Why layers cannot be moved here, since the last attempt. */
  get problem(): string | undefined {
    return this.#problem;
  }

  folder(id: BackupId): string {
    return join(this.path, id);
  }

  layer(id: BackupId): string {
    return join(this.path, id, "fs");
  }

  /** Where the archive of a layer is, its other files beside it. */
  packed(id: BackupId): string {
    return join(this.path, id, "layer");
  }

  has(id: BackupId): Promise<boolean> {
    return exists(this.layer(id));
  }

  /** Throws `STAGING_ELSEWHERE` when the layer cannot be moved here by renaming. */
  assertSameDevice(upperdir: string): void {
    const { dev } = lstatSync(upperdir, { bigint: true });
    this.#problem =
      dev === this.#device
        ? undefined
        : `${upperdir} and the staging folder ${this.path} are on different file systems`;
    if (this.#problem !== undefined)
      throw errors.STAGING_ELSEWHERE(`${this.#problem}; set backup.staging to a folder on the same one`, {
        details: { upperdir, staging: this.path },
      });
  }

  /**
   * Moves a layer in, whatever its size, and waits until all names are on disk. Repeating it is harmless. File
   * systems keep the order of such changes, so they are waited for together.
   */
  async take(upperdir: string, id: BackupId): Promise<void> {
    const folder = this.folder(id);
    // Microseconds each, whereas a trip to another thread and back is not.
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    renameUnlessDone(upperdir, this.layer(id));
    reached("moved", id);
    const origin = syncFolder(dirname(upperdir)).catch(ignoreAbsence);
    await Promise.all([syncFolder(this.path), syncFolder(folder), origin]);
    reached("synced", id);
  }

  /** Makes the folder for a layer that is packed into it. */
  async make(id: BackupId): Promise<void> {
    await mkdir(this.folder(id), { mode: 0o700 });
  }

  /**
   * Makes a folder for one attempt at an archive, without what earlier ones left, and gives the layer's file in it. A
   * worker of a killed agent may still be at work: it cannot be in the way of this one.
   */
  async makeRoom(id: BackupId): Promise<string> {
    await mkdir(this.folder(id), { recursive: true, mode: 0o700 });
    await this.#removeArchive(id);
    return join(await mkdtemp(join(this.folder(id), attemptPrefix)), "layer");
  }

  /** Gives the files of an attempt the archive's names. */
  async keep(id: BackupId, attempt: string): Promise<void> {
    const made = Object.values(layerFiles(attempt));
    for (const [index, path] of Object.values(layerFiles(this.packed(id))).entries()) {
      const from = made[index];
      if (from !== undefined) await rename(from, path);
    }
    await rmdir(dirname(attempt));
  }

  /** Removes the archive of a layer, and its folder unless the layer is in it. */
  async dropArchive(id: BackupId): Promise<void> {
    await this.#removeArchive(id);
    try {
      // At once, so that no layer can be on its way in.
      rmdirSync(this.folder(id));
    } catch (error) {
      if (errnoOf(error) !== "ENOTEMPTY") ignoreAbsence(error);
    }
  }

  async #removeArchive(id: BackupId): Promise<void> {
    for (const path of Object.values(layerFiles(this.packed(id)))) await unlink(path).catch(ignoreAbsence);
    const names = await readdir(this.folder(id)).catch((error: unknown) => {
      ignoreAbsence(error);
      return [];
    });
    for (const name of names.filter((each) => each.startsWith(attemptPrefix)))
      await rm(join(this.folder(id), name), { recursive: true, force: true, maxRetries: 3 });
  }

  /** Removes a folder made by {@link make}, whatever was packed into it. */
  async dropPacked(id: BackupId): Promise<void> {
    await rm(this.folder(id), { recursive: true, force: true });
  }

  /** Removes the folder of a backup whose layer was never moved. */
  async drop(id: BackupId): Promise<void> {
    await rmdir(this.folder(id)).catch(ignoreAbsence);
  }

  async list(): Promise<readonly BackupId[]> {
    return (await readdir(this.path)).map(backupId);
  }
}

export const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === "ENOENT") return false;
      throw error;
    },
  );

function ignoreAbsence(error: unknown): void {
  if (errnoOf(error) !== "ENOENT") throw error;
}

function renameUnlessDone(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT" || !existsSync(to)) throw error;
  }
}
