import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { replaceFile } from "../spec/replace-file.ts";

const schema = v.object({
  file: v.string(),
  engine: v.string(),
  /** Content before the first change, as base64; null when there was no file; absent once others changed it too. */
  original: v.optional(v.nullable(v.string())),
  /** SHA-256 of what was written last. */
  written: v.string(),
  /** Handlers that are in the file. */
  names: v.array(v.string()),
  previousDefault: v.optional(v.string()),
});

/** What a configuration file was before this toolkit changed it. */
export type Original = v.InferOutput<typeof schema>;

export const sha256 = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");

/** Records of changed configuration files, in a folder that only root reads. */
export class Originals {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined when the file was not changed, or its record is gone. */
  async find(file: string): Promise<Original | undefined> {
    return readRecord(this.#path(file));
  }

  async put(record: Original): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const like = { mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
    await replaceFile(this.#path(record.file), JSON.stringify(record), { durable: true, like });
  }

  async remove(file: string): Promise<void> {
    await rm(this.#path(file), { force: true });
  }

  async list(): Promise<readonly Original[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const records = await Promise.all(names.map((name) => readRecord(join(this.#folder, name))));
    return records.filter((record) => record !== undefined);
  }

  #path(file: string): string {
    return join(this.#folder, `${sha256(file).slice(0, 32)}.json`);
  }
}

async function readRecord(path: string): Promise<Original | undefined> {
  try {
    const result = v.safeParse(schema, JSON.parse(await readFile(path, "utf8")));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}
