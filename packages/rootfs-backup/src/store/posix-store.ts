import { randomBytes } from "node:crypto";
import { mkdir, readFile, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { backupId, errnoOf, errorMessage, type BackupId } from "@aeon/core";
import { errors } from "../errors.ts";
import type { BackupDocument, StoredLayer } from "./backup-document.ts";
import { isBackupId } from "./backup-id.ts";
import type { BackupStore, StoredBackup } from "./backup-store.ts";
import { hexOf } from "./digest.ts";
import { publish, syncFolder, writeFlushed } from "../objects/posix/durable-files.ts";
import {
  describeImage,
  encodeRef,
  parseConfig,
  parseManifest,
  parseRef,
  verifyBlob,
  type Descriptor,
} from "./image-manifest.ts";

const suffix = ".json";

/**
 * A store in a folder: `blobs/sha256/<hex>` as in an OCI layout, `refs/<backup>.json` for the names,
 * `tmp/<writer>` for what is being written. Safe for several writers, also over NFS; each has a name of its own,
 * the same after a restart. The folder is made when it is first needed, so that a store in trouble delays backups
 * but never captures; until then calls reject with `STORE_UNUSABLE`.
 */
export const posixStore = (path: string, writer: string): BackupStore => new PosixStore(path, writer);

async function prepare(path: string, spool: string): Promise<void> {
  try {
    for (const folder of [join(path, "blobs/sha256"), join(path, "refs"), spool])
      await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(spool)) await unlink(join(spool, name));
    const layout = Buffer.from('{"imageLayoutVersion":"1.0.0"}');
    await writeNew(join(path, "oci-layout"), layout, spool, path);
  } catch (error) {
    throw errors.STORE_UNUSABLE(`cannot use ${path} as a store: ${errorMessage(error)}`, {
      cause: error,
      details: { path },
    });
  }
}

class PosixStore implements BackupStore {
  readonly #path: string;
  readonly #spool: string;
  #preparing: Promise<void> | undefined;

  constructor(path: string, writer: string) {
    this.#path = path;
    this.#spool = join(path, "tmp", writer);
  }

  async spool(): Promise<string> {
    await this.#ready();
    return this.#spool;
  }

  async putLayer(file: string, { digest }: StoredLayer): Promise<void> {
    await this.#ready();
    await publish(file, this.#blob(digest), this.#path);
  }

  async openLayer({ digest, size }: StoredLayer): Promise<string> {
    const path = this.#blob(digest);
    const found = await stat(path).catch((error: unknown) => error);
    if (
      found instanceof Error ||
      typeof found !== "object" ||
      found === null ||
      !("size" in found) ||
      found.size !== size
    )
      throw errors.BACKUP_DAMAGED(`layer ${digest} is missing from the store or has a wrong size`, {
        cause: found instanceof Error ? found : undefined,
        details: { digest, size, path },
      });
    return path;
  }

  async putBackup(document: BackupDocument): Promise<StoredBackup> {
    await this.#ready();
    for (const layer of document.layers) await this.openLayer(layer);
    const { config, manifest } = describeImage(document);
    for (const { bytes, descriptor } of [config, manifest])
      await writeNew(this.#blob(descriptor.digest), bytes, this.#spool, this.#path);
    const id = backupId(document.id);
    if (await writeNew(this.#ref(id), encodeRef(manifest.descriptor), this.#spool, this.#path))
      return { document, digest: manifest.descriptor.digest, location: this.#ref(id) };
    const earlier = await this.getBackup(id);
    if (earlier === undefined) throw errors.STORE_UNUSABLE(`backup ${id} was removed while it was stored`);
    return earlier;
  }

  async getBackup(id: BackupId): Promise<StoredBackup | undefined> {
    await this.#ready();
    const location = this.#ref(id);
    const bytes = await readFile(location).catch((error: unknown) => {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    });
    if (bytes === undefined) return undefined;
    const manifest = parseRef(bytes, location);
    const { config } = parseManifest(await this.#read(manifest), manifest.digest);
    const document = parseConfig(await this.#read(config), config.digest);
    if (document.id !== id) throw errors.BACKUP_DAMAGED(`${location} leads to backup ${document.id}`);
    return { document, digest: manifest.digest, location };
  }

  async listBackups(): Promise<readonly BackupId[]> {
    await this.#ready();
    const names = await readdir(join(this.#path, "refs"));
    return names
      .filter((name) => name.endsWith(suffix))
      .map((name) => name.slice(0, -suffix.length))
      .filter(isBackupId)
      .map(backupId);
  }

  async removeBackup(id: BackupId): Promise<void> {
    await this.#ready();
    await unlink(this.#ref(id)).catch((error: unknown) => {
      if (errnoOf(error) !== "ENOENT") throw error;
    });
    await syncFolder(join(this.#path, "refs"));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Remembers success only, so that the next call tries again. Nothing is written before, so what is in the spool is of an earlier life. */
  #ready(): Promise<void> {
    return (this.#preparing ??= prepare(this.#path, this.#spool).catch((error: unknown) => {
      this.#preparing = undefined;
      throw error;
    }));
  }

  async #read(descriptor: Descriptor): Promise<Buffer> {
    const bytes = await readFile(this.#blob(descriptor.digest)).catch((error: unknown) => {
      throw errors.BACKUP_DAMAGED(`blob ${descriptor.digest} cannot be read: ${errorMessage(error)}`, {
        cause: error,
      });
    });
    return verifyBlob(bytes, descriptor);
  }

  #blob(digest: string): string {
    return join(this.#path, "blobs/sha256", hexOf(digest));
  }

  #ref(id: BackupId): string {
    return join(this.#path, "refs", `${id}${suffix}`);
  }
}

async function writeNew(path: string, bytes: Buffer, spool: string, root: string): Promise<boolean> {
  const temporary = join(spool, randomBytes(8).toString("hex"));
  await writeFlushed(temporary, bytes);
  return publish(temporary, path, root);
}
