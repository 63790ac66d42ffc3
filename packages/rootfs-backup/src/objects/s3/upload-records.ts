import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "@aeon/core";
import * as v from "valibot";

const recordSchema = v.object({
  key: v.string(),
  uploadId: v.string(),
  size: v.number(),
  partSize: v.number(),
});

/** An upload in parts that was begun and not completed. */
export type UploadRecord = v.InferOutput<typeof recordSchema>;

/**
 * Which uploads in parts are under way, one small file each, so that they go on after a restart. A lost or damaged
 * record only costs a new upload.
 */
export class UploadRecords {
  readonly #folder: string;

  constructor(spool: string) {
    this.#folder = join(spool, "uploads");
  }

  /** The unfinished upload of a key; undefined when there is none that can be gone on with. */
  async find(key: string, size: number): Promise<UploadRecord | undefined> {
    const record = await this.#read(this.#path(key));
    return record?.key === key && record.size === size ? record : undefined;
  }

  async put(record: UploadRecord): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const path = this.#path(record.key);
    {
      await using file = await open(`${path}.new`, "w", 0o600);
      await file.writeFile(JSON.stringify(record));
      await file.sync();
    }
    await rename(`${path}.new`, path);
  }

  async remove(key: string): Promise<void> {
    await rm(this.#path(key), { force: true });
  }

  /** Removes records not written for this long; answers those that are left. */
  async sweep(before: Date): Promise<readonly UploadRecord[]> {
    const kept: UploadRecord[] = [];
    for (const name of await readdir(this.#folder).catch(noFolder)) {
      const path = join(this.#folder, name);
      const facts = await stat(path).catch(() => undefined);
      if (facts === undefined) continue;
      const record = facts.mtime < before ? undefined : await this.#read(path);
      if (record !== undefined) kept.push(record);
      else if (facts.mtime < before) await rm(path, { force: true });
    }
    return kept;
  }

  async #read(path: string): Promise<UploadRecord | undefined> {
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      if (errnoOf(error) === "ENOENT") return "";
      throw error;
    });
    try {
      return v.parse(recordSchema, JSON.parse(text));
    } catch {
      return undefined;
    }
  }

  #path(key: string): string {
    return join(this.#folder, `${createHash("sha256").update(key).digest("hex")}.json`);
  }
}

function noFolder(error: unknown): readonly string[] {
  if (errnoOf(error) === "ENOENT") return [];
  throw error;
}
