import { readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf } from "@aeon/core";
import * as v from "valibot";
import { syncFolder, writeFlushed } from "../../objects/posix/durable-files.ts";
import { parseLoose } from "../json-objects.ts";

const findingSchema = v.object({ backup: v.string(), reason: v.string(), message: v.string() });
const fileSchema = v.object({ format: v.literal(1), findings: v.array(findingSchema) });

/** A stored backup that cannot be restored, and why. */
export type Finding = v.InferOutput<typeof findingSchema>;

/** What the last round on this node found; survives restarts. */
export class Findings {
  readonly #path: string;
  #all: readonly Finding[];

  private constructor(path: string, all: readonly Finding[]) {
    this.#path = path;
    this.#all = all;
  }

  /** A file that cannot be understood counts as none: the next round finds everything again. */
  static async open(path: string): Promise<Findings> {
    const bytes = await readFile(path).catch((error: unknown) => {
      if (errnoOf(error) === "ENOENT") return Buffer.alloc(0);
      throw error;
    });
    return new Findings(path, parseLoose(fileSchema, bytes)?.findings ?? []);
  }

  get all(): readonly Finding[] {
    return this.#all;
  }

  async replace(findings: readonly Finding[]): Promise<void> {
    this.#all = findings;
    const temporary = `${this.#path}.new`;
    await rm(temporary, { force: true });
    await writeFlushed(temporary, Buffer.from(JSON.stringify({ format: 1, findings })));
    await rename(temporary, this.#path);
    await syncFolder(dirname(this.#path));
  }
}
