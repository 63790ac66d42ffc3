import { randomUUID } from "node:crypto";
import { mkdir, readdir, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import pLimit, { type LimitFunction } from "p-limit";
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
import { assertKey, assertPrefix, isMutable } from "../object-key.ts";
import { createObject, replaceObject, type ConditionForm } from "./conditional-writes.ts";
import { downloadFile } from "./download-file.ts";
import { listObjects, listPrefixes } from "./listing.ts";
import { probe } from "./probe.ts";
import { S3Client } from "./s3-client.ts";
import type { S3Options } from "./s3-options.ts";
import { headObject, readObject, removeObject } from "./small-objects.ts";
import { sweepUploads, uploadsBefore } from "./sweep-uploads.ts";
import { uploadFile } from "./upload-file.ts";
import { UploadRecords } from "./upload-records.ts";

/**
 * Objects in a bucket of an S3 service. Nothing is sent before it is first used. Each request is limited in time and
 * tried again with growing pauses; what then still fails is `STORE_UNREACHABLE`, `STORE_DENIED` or `STORE_UNUSABLE`.
 *
 * Where the store does not decide conditional writes, `create` and `replace` look first and write then: two writers
 * of one name at one moment can both succeed, and the later one stands. Names that nobody else writes, and an epoch in
 * the content of those that change hands, keep that from being more than a lost race.
 */
export const s3Objects = (options: S3Options): ObjectStore => new S3Objects(options);

class S3Objects implements ObjectStore {
  readonly #client: S3Client;
  readonly #options: S3Options;
  /** In front of every key. */
  readonly #prefix: string;
  readonly #slots: LimitFunction;
  readonly #records: UploadRecords;
  readonly #life = new AbortController();
  #probing: Promise<ConditionForm> | undefined;

  constructor(options: S3Options) {
    this.#options = options;
    this.#client = new S3Client(options);
    this.#prefix = options.prefix === "" ? "" : `${options.prefix}/`;
    this.#slots = pLimit(options.concurrency);
    this.#records = new UploadRecords(options.spool);
  }

  get location(): string {
    return this.#client.location;
  }

  async ready(signal: AbortSignal): Promise<StoreAbilities> {
    const form = await this.#conditionForm(signal);
    const warnings = warningsOf(this.#options, form);
    return { compareAndSwap: form !== "none", ...(warnings.length > 0 && { warnings }) };
  }

  async stat(key: ObjectKey, signal: AbortSignal): Promise<ObjectFacts | undefined> {
    const found = await headObject(this.#client, this.#whole(key), signal);
    return found && { key, ...found };
  }

  async read(
    key: ObjectKey,
    { signal, range }: ReadOptions,
  ): Promise<{ readonly bytes: Buffer; readonly version: string } | undefined> {
    return readObject(this.#client, this.#whole(key), range, signal);
  }

  async create(key: ObjectKey, bytes: Buffer, signal: AbortSignal): Promise<boolean> {
    return this.#put(key, bytes, undefined, signal);
  }

  async replace(
    key: ObjectKey,
    bytes: Buffer,
    expected: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (!isMutable(key)) throw new RangeError(`${key} is the key of an object that is written once`);
    return this.#put(key, bytes, expected, signal);
  }

  async spool(signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    await mkdir(this.#options.spool, { recursive: true, mode: 0o700 });
    return this.#options.spool;
  }

  async upload(key: ObjectKey, file: string, { keep, ...options }: UploadOptions): Promise<void> {
    await uploadFile({
      ...options,
      client: this.#client,
      slots: this.#slots,
      records: this.#records,
      key: this.#whole(key),
      file,
    });
    if (keep !== true) await rm(file, { force: true });
  }

  async fetch(key: ObjectKey, options: TransferOptions): Promise<LocalFile> {
    const path = join(await this.spool(options.signal), `fetch-${randomUUID()}`);
    const remove = (): Promise<void> => rm(path, { force: true });
    try {
      await downloadFile({
        ...options,
        client: this.#client,
        slots: this.#slots,
        key: this.#whole(key),
        file: path,
      });
      return { path, [Symbol.asyncDispose]: remove };
    } catch (error) {
      await remove();
      throw error;
    }
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<ObjectFacts, void> {
    for await (const found of listObjects(this.#client, this.#wholePrefix(prefix), signal))
      yield { ...found, key: found.key.slice(this.#prefix.length) };
  }

  async *folders(prefix: string, signal: AbortSignal): AsyncGenerator<string, void> {
    yield* listPrefixes(this.#client, this.#wholePrefix(prefix), signal);
  }

  async remove(key: ObjectKey, signal: AbortSignal): Promise<void> {
    await removeObject(this.#client, this.#whole(key), signal);
  }

  async *unfinished(olderThanMs: number, signal: AbortSignal): AsyncGenerator<UnfinishedWrite, void> {
    const before = new Date(Date.now() - olderThanMs);
    for await (const { key } of uploadsBefore(this.#client, this.#prefix, before, signal))
      yield { name: key };
  }

  async sweepUnfinished(olderThanMs: number, signal: AbortSignal): Promise<number> {
    const before = new Date(Date.now() - olderThanMs);
    const ended = await sweepUploads(this.#client, this.#prefix, before, signal);
    await this.#records.sweep(before);
    return ended + (await this.#sweepSpool(before));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort(new Error("the store was closed"));
    this.#client[Symbol.dispose]();
    // Stays where anything is in it.
    await rmdir(this.#options.spool).catch(() => {});
  }

  async #put(
    key: ObjectKey,
    bytes: Buffer,
    expected: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const whole = this.#whole(key);
    const form = await this.#conditionForm(signal);
    return expected === undefined
      ? createObject(this.#client, whole, bytes, form, signal)
      : replaceObject(this.#client, whole, bytes, expected, form, signal);
  }

  /** One probe for all that ask, which goes on when one of them gives up. */
  async #conditionForm(signal: AbortSignal): Promise<ConditionForm> {
    signal.throwIfAborted();
    this.#probing ??= probe(this.#client, this.#prefix, this.#life.signal).catch((error: unknown) => {
      this.#probing = undefined;
      throw error;
    });
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([this.#probing, promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async #sweepSpool(before: Date): Promise<number> {
    let removed = 0;
    for (const entry of await readdir(await this.spool(AbortSignal.any([])), { withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || ((await stat(path).catch(() => undefined))?.mtime ?? before) >= before) continue;
      await rm(path, { force: true });
      removed += 1;
    }
    return removed;
  }

  #whole(key: ObjectKey): string {
    assertKey(key);
    return `${this.#prefix}${key}`;
  }

  #wholePrefix(prefix: string): string {
    assertPrefix(prefix);
    return `${this.#prefix}${prefix}`;
  }
}

function warningsOf({ endpoint }: S3Options, form: ConditionForm): readonly string[] {
  const warnings: string[] = [];
  if (form === "none")
    warnings.push(
      "the store does not decide conditional writes: two nodes may both move a HEAD at one moment",
    );
  const { protocol, hostname } = new URL(endpoint);
  if (protocol === "http:" && !/^(localhost|127\..*|\[::1\])$/.test(hostname))
    warnings.push("the store is reached without TLS: backups can be read on the way");
  return warnings;
}
