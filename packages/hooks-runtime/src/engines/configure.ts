import { chmod, mkdir, readFile, realpath, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf, errorMessage, isAeonError } from "@aeon/core";
import { errors } from "../errors.ts";
import { replaceFile } from "../spec/replace-file.ts";
import type { Engine, Handler } from "./engine.ts";
import { withFileLock } from "./file-lock.ts";
import { Originals, sha256, type Original } from "./originals.ts";

/** Looks at a changed configuration as its engine does, and throws when it has changed more than it should. */
export type Verify = (name: string) => Promise<void>;

export interface EditOptions {
  readonly engine: Engine;
  readonly file: string;
  /** Text of the main configuration, when the file lies beside it. */
  readonly main?: string | undefined;
  /** Folder of the records of what files were before. */
  readonly originals: string;
  /** Called after the change; when it rejects, the file is put back. */
  readonly verify?: Verify | undefined;
  readonly dryRun?: boolean | undefined;
}

/** What was or would be done to a file. */
export interface Change {
  readonly file: string;
  readonly existed: boolean;
  readonly before: string;
  readonly after: string;
  /** The file is gone, because nothing else was in it. */
  readonly removed: boolean;
}

/** Adds a handler to an engine's configuration. Throws `ENGINE_CONFIG_…` and `CONFIG_BUSY`; the file is then as it was. */
export function configureEngine(options: EditOptions, handler: Handler): Promise<Change> {
  return change(options, handler.name, async (present, record) => {
    const { engine, file, main } = options;
    const after = engine.configure(present.text, handler, file, main);
    const names = [...new Set([...(record?.names ?? []), handler.name])];
    const former = engine.defaultOf(present.text, file);
    const isOurs = former !== undefined && names.includes(former);
    const previousDefault = isOurs ? record?.previousDefault : former;
    const original =
      record === undefined
        ? { original: present.bytes?.toString("base64") ?? null }
        : originalOf(record, present);
    return {
      after: Buffer.from(after),
      record: {
        file,
        engine: engine.title,
        ...original,
        names,
        written: sha256(after),
        ...(previousDefault !== undefined && { previousDefault }),
      },
    };
  });
}

/** Takes a handler out again: with the original bytes when nobody changed the file since, else as an edit. */
export function unconfigureEngine(options: EditOptions, name: string): Promise<Change> {
  return change(options, name, async (present, record) => {
    const { engine, file } = options;
    const others = (record?.names ?? []).filter((other) => other !== name);
    const isLast = record !== undefined && record.names.includes(name) && others.length === 0;
    const { original } = record === undefined ? {} : originalOf(record, present);
    if (isLast && original !== undefined)
      return { after: original === null ? undefined : Buffer.from(original, "base64") };
    const edited = engine.unconfigure(present.text, { name, previousDefault: record?.previousDefault }, file);
    const after = edited === "" ? undefined : Buffer.from(edited);
    return others.length === 0 || record === undefined || after === undefined
      ? { after }
      : {
          after,
          record: {
            ...withoutOriginal(record),
            ...originalOf(record, present),
            names: others,
            written: sha256(after),
          },
        };
  });
}

interface Present {
  readonly bytes: Buffer | undefined;
  readonly text: string;
}

interface Outcome {
  /** Undefined: no file. */
  readonly after: Buffer | undefined;
  readonly record?: Original;
}

/** What was before counts only while nobody else has changed the file. */
function originalOf(record: Original, { bytes }: Present): Pick<Original, "original"> {
  const isOurs = bytes !== undefined && sha256(bytes) === record.written;
  return isOurs && record.original !== undefined ? { original: record.original } : {};
}

function withoutOriginal(record: Original): Original {
  const { original: _, ...rest } = record;
  return rest;
}

async function change(
  options: EditOptions,
  name: string,
  decide: (present: Present, record: Original | undefined) => Promise<Outcome>,
): Promise<Change> {
  const file = await realpath(options.file).catch(() => options.file);
  return withFileLock(file, async () => {
    const originals = new Originals(options.originals);
    const present = await read(file);
    const record = await originals.find(options.file);
    const { after, record: next } = await decide(present, record);
    const text = after?.toString() ?? "";
    const result: Change = {
      file: options.file,
      existed: present.bytes !== undefined,
      before: present.text,
      after: text,
      removed: after === undefined && present.bytes !== undefined,
    };
    if (options.dryRun) return result;
    if (!same(after, present.bytes)) {
      // The record first: a crash in between leaves an original that is still in place.
      if (next !== undefined) await originals.put(next);
      await write(file, after, present.bytes, options.verify && (() => options.verify?.(name)), async () =>
        record === undefined ? originals.remove(options.file) : originals.put(record),
      );
    }
    if (next === undefined) await originals.remove(options.file);
    return result;
  });
}

const same = (a: Buffer | undefined, b: Buffer | undefined): boolean =>
  a === undefined || b === undefined ? a === b : a.equals(b);

async function read(file: string): Promise<Present> {
  try {
    const bytes = await readFile(file);
    const text = bytes.toString("utf8");
    if (!Buffer.from(text).equals(bytes)) throw errors.ENGINE_CONFIG_INVALID(`${file}:1: is not UTF-8`);
    return { bytes, text };
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return { bytes: undefined, text: "" };
    throw isAeonError(error) ? error : unwritable(file, error);
  }
}

async function write(
  file: string,
  after: Buffer | undefined,
  before: Buffer | undefined,
  verify: (() => Promise<void> | undefined) | undefined,
  undoRecord: () => Promise<void>,
): Promise<void> {
  try {
    await put(file, after);
    await verify?.();
  } catch (error) {
    await put(file, before).catch(() => {});
    await undoRecord();
    throw isAeonError(error) ? error : unwritable(file, error);
  }
}

async function put(file: string, content: Buffer | undefined): Promise<void> {
  if (content === undefined) return rm(file, { force: true });
  await mkdir(dirname(file), { recursive: true });
  const like = await stat(file).catch(() => undefined);
  await replaceFile(file, content, { durable: true, ...(like && { like }) });
  if (like === undefined) await chmod(file, 0o644);
}

const unwritable = (file: string, cause: unknown): Error =>
  errors.ENGINE_CONFIG_UNWRITABLE(`${file}: ${errorMessage(cause)}`, { cause, details: { file } });
