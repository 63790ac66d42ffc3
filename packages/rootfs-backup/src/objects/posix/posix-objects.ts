import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { open, readdir, unlink, utimes } from "node:fs/promises";
import { join, relative } from "node:path";
import { errnoOf, errorMessage } from "@aeon/core";
import { errors } from "../../errors.ts";
import { assertKey, assertPrefix, isMutable } from "../object-key.ts";
import type {
  LocalFile,
  ObjectFacts,
  ObjectKey,
  ObjectStore,
  ReadOptions,
  StoreAbilities,
  TransferOptions,
  UnfinishedWrite,
  UploadOptions,
} from "../object-store.ts";
import { copyFlushed } from "./copy-flushed.ts";
import { isAbsence, makeFolder, publish, removeFile, statOrAbsent, writeFlushed } from "./durable-files.ts";
import { Generations } from "./generations.ts";
import { mountWarnings } from "./mounted-on.ts";
import { probe } from "./probe.ts";
import { leftFiles, sweepWriters } from "./sweep-writers.ts";
import { foldersIn, walk } from "./walk.ts";

export interface PosixObjectsOptions {
  /** The store's folder; made when it is first needed. */
  readonly path: string;
  /** Names this writer, the same after a restart; no other one may use it at the same time. */
  readonly writer: string;
}

/**
 * Objects as files in a folder, also of a file system that several hosts share (NFS): a file appears under its name
 * by a hard link, when its bytes are on disk. What is being written is in `tmp/<writer>`.
 */
export const posixObjects = (options: PosixObjectsOptions): ObjectStore => new PosixObjects(options);

class PosixObjects implements ObjectStore {
  readonly location: string;
  readonly #temporary: string;
  readonly #spool: string;
  readonly #writer: string;
  readonly #generations: Generations;
  #ready: Promise<StoreAbilities> | undefined;
  #wasReady = false;

  constructor({ path, writer }: PosixObjectsOptions) {
    assertKey(writer);
    this.location = path;
    this.#writer = writer;
    this.#temporary = join(path, "tmp", writer);
    this.#spool = join(this.#temporary, "spool");
    this.#generations = new Generations(path, () => this.#newName());
  }

  ready(): Promise<StoreAbilities> {
    return (this.#ready ??= this.#prepare().catch((error: unknown) => {
      this.#ready = undefined;
      throw errors.STORE_UNUSABLE(`cannot use ${this.location} as a store: ${errorMessage(error)}`, {
        cause: error,
        details: { path: this.location },
      });
    }));
  }

  async stat(key: ObjectKey, signal: AbortSignal): Promise<ObjectFacts | undefined> {
    const path = await this.#path(key, signal);
    const generation = isMutable(key) ? await this.#generations.latest(path) : undefined;
    if (isMutable(key) && generation === undefined) return undefined;
    const found = await statOrAbsent(generation?.path ?? path);
    if (found === undefined || found.isDirectory()) return undefined;
    return {
      key,
      size: Number(found.size),
      modifiedAt: new Date(Number(found.mtimeNs / 1_000_000n)),
      version: generation === undefined ? versionOf(found) : generationVersion(generation.number),
    };
  }

  async read(
    key: ObjectKey,
    { signal, range }: ReadOptions,
  ): Promise<{ readonly bytes: Buffer; readonly version: string } | undefined> {
    const path = await this.#path(key, signal);
    if (isMutable(key)) {
      const found = await this.#generations.read(path);
      if (found === undefined) return undefined;
      const bytes = range ? found.bytes.subarray(range.offset, range.offset + range.length) : found.bytes;
      return { bytes, version: generationVersion(found.number) };
    }
    try {
      await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      const facts = await file.stat({ bigint: true });
      const { offset, length } = range ?? { offset: 0, length: Number(facts.size) };
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, Number(facts.size) - offset)));
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return { bytes: bytes.subarray(0, filled), version: versionOf(facts) };
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw error;
    }
  }

  async create(key: ObjectKey, bytes: Buffer, signal: AbortSignal): Promise<boolean> {
    const path = await this.#path(key, signal);
    return publish(await this.#write(bytes), path, this.location);
  }

  async replace(
    key: ObjectKey,
    bytes: Buffer,
    expected: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const path = await this.#path(key, signal);
    if (!isMutable(key)) throw new RangeError(`${key} is not the name of an object that is replaced`);
    const number = expected === undefined ? undefined : Number(expected.slice(1));
    return this.#generations.replace(path, await this.#write(bytes), number);
  }

  async spool(signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    await this.ready();
    await this.#assertThere();
    if ((await statOrAbsent(this.#spool)) === undefined) await makeFolder(this.#spool, this.location);
    return this.#spool;
  }

  async upload(key: ObjectKey, file: string, options: UploadOptions): Promise<void> {
    const { size, signal, onProgress } = options;
    const path = await this.#path(key, signal);
    const given = await statOrAbsent(file);
    if (given !== undefined) {
      if (Number(given.size) !== size)
        throw errors.BACKUP_DAMAGED(`${file} has ${given.size} bytes, expected ${size}`, {
          details: { file, size },
        });
      await this.#adopt(file, path, options);
    }
    const stored = await statOrAbsent(path);
    if (stored === undefined)
      throw errors.LAYER_MISSING(`${path} is not there any more, and neither is ${file}`, {
        details: { path, file },
      });
    if (Number(stored.size) !== size)
      throw errors.BACKUP_DAMAGED(`${path} has ${stored.size} bytes, expected ${size}`, {
        details: { path, size },
      });
    onProgress?.(size);
  }

  async fetch(key: ObjectKey, { size, signal, onProgress }: TransferOptions): Promise<LocalFile> {
    const path = await this.#path(key, signal);
    const found = await statOrAbsent(path);
    if (found === undefined || !found.isFile() || Number(found.size) !== size)
      throw errors.BACKUP_DAMAGED(
        `${path} is ${found === undefined ? "missing" : `not a file of ${size} bytes`}`,
        { details: { path, size } },
      );
    onProgress?.(size);
    return { path, [Symbol.asyncDispose]: async () => {} };
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<ObjectFacts, void> {
    assertPrefix(prefix);
    await this.ready();
    await this.#assertThere();
    for await (const key of walk(this.location, prefix, signal)) {
      const facts = await this.stat(key, signal);
      if (facts !== undefined) yield facts;
    }
  }

  async *folders(prefix: string, signal: AbortSignal): AsyncGenerator<string, void> {
    assertPrefix(prefix);
    signal.throwIfAborted();
    await this.ready();
    await this.#assertThere();
    yield* await foldersIn(join(this.location, prefix));
  }

  async remove(key: ObjectKey, signal: AbortSignal): Promise<void> {
    const path = await this.#path(key, signal);
    await (isMutable(key) ? this.#generations.remove(path) : removeFile(path));
  }

  async *unfinished(olderThanMs: number, signal: AbortSignal): AsyncGenerator<UnfinishedWrite, void> {
    // By this host's clock: asking the store's takes a write, which looking must not need.
    const before = BigInt(Math.round(Date.now() - olderThanMs)) * 1_000_000n;
    for await (const { file, size } of leftFiles(this.#writers(before), signal))
      yield { name: relative(this.location, file), size };
  }

  async sweepUnfinished(olderThanMs: number, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    await this.ready();
    const clock = await this.#write(Buffer.alloc(0));
    const now = (await statOrAbsent(clock))?.mtimeNs ?? 0n;
    await unlink(clock);
    const before = now - BigInt(Math.round(olderThanMs)) * 1_000_000n;
    return sweepWriters(this.#writers(before), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #writers(before: bigint) {
    return { path: join(this.location, "tmp"), own: this.#writer, before };
  }

  async #prepare(): Promise<StoreAbilities> {
    await this.#assertThere();
    await makeFolder(this.#spool, this.location);
    // What is right in the folder is of an earlier life; the spool is its owner's to clear.
    for (const entry of await readdir(this.#temporary, { withFileTypes: true }))
      if (!entry.isDirectory()) await unlink(join(this.#temporary, entry.name));
    await probe(this.#temporary, `probe-${randomBytes(6).toString("hex")}`);
    this.#wasReady = true;
    return { compareAndSwap: true, warnings: await mountWarnings(this.location) };
  }

  /** A store that was there and is not has been unmounted or moved; one made anew would hide its backups. */
  async #assertThere(): Promise<void> {
    if (!this.#wasReady || (await statOrAbsent(join(this.location, "tmp"))) !== undefined) return;
    this.#ready = undefined;
    throw errors.STORE_UNUSABLE(`the store in ${this.location} is gone: is its file system still mounted?`, {
      details: { path: this.location },
    });
  }

  async #path(key: ObjectKey, signal: AbortSignal): Promise<string> {
    assertKey(key);
    signal.throwIfAborted();
    await this.ready();
    await this.#assertThere();
    return join(this.location, key);
  }

  async #write(bytes: Buffer): Promise<string> {
    const path = this.#newName();
    try {
      await writeFlushed(path, bytes);
    } catch (error) {
      if (!isAbsence(error)) throw error;
      // Another host may have taken this writer for gone.
      await makeFolder(this.#spool, this.location);
      await writeFlushed(path, bytes);
    }
    return path;
  }

  #newName(): string {
    return join(this.#temporary, randomBytes(12).toString("hex"));
  }

  /** A file of another file system cannot be linked; it is copied first, unless its content is there already. */
  async #adopt(file: string, path: string, options: UploadOptions): Promise<void> {
    const { size, keep = false } = options;
    try {
      if (!(await publish(file, path, this.location, { keep }))) await touch(path);
    } catch (error) {
      if (errnoOf(error) !== "EXDEV") throw error;
      if (Number((await statOrAbsent(path))?.size ?? -1) === size) await touch(path);
      else await this.#copyIn(file, path, options);
      if (!keep) await removeFile(file);
    }
  }

  async #copyIn(file: string, path: string, options: UploadOptions): Promise<void> {
    const copy = this.#newName();
    await copyFlushed(file, copy, options);
    if (!(await publish(copy, path, this.location))) await touch(path);
  }
}

interface Versioned {
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

const versionOf = ({ ino, size, mtimeNs }: Versioned): string => `f${ino}-${size}-${mtimeNs}`;
const generationVersion = (number: number): string => `g${number}`;

/** A file that is used again counts as new, so that it is not swept before it is named. */
async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch((error: unknown) => {
    if (!isAbsence(error)) throw error;
  });
}
