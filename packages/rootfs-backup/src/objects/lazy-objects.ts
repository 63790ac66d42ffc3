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
} from "./object-store.ts";

/**
 * A store that is opened when it is first used, so that what it needs is loaded only then, and its trouble delays
 * backups but no start. After a failure the next call tries again.
 */
export const lazyObjects = (location: string, open: () => Promise<ObjectStore>): ObjectStore =>
  new LazyObjects(location, open);

class LazyObjects implements ObjectStore {
  readonly location: string;
  readonly #open: () => Promise<ObjectStore>;
  #opened: Promise<ObjectStore> | undefined;

  constructor(location: string, open: () => Promise<ObjectStore>) {
    this.location = location;
    this.#open = open;
  }

  async ready(signal: AbortSignal): Promise<StoreAbilities> {
    return (await this.#store()).ready(signal);
  }

  async stat(key: ObjectKey, signal: AbortSignal): Promise<ObjectFacts | undefined> {
    return (await this.#store()).stat(key, signal);
  }

  async read(
    key: ObjectKey,
    options: ReadOptions,
  ): Promise<{ readonly bytes: Buffer; readonly version: string } | undefined> {
    return (await this.#store()).read(key, options);
  }

  async create(key: ObjectKey, bytes: Buffer, signal: AbortSignal): Promise<boolean> {
    return (await this.#store()).create(key, bytes, signal);
  }

  async replace(
    key: ObjectKey,
    bytes: Buffer,
    expected: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    return (await this.#store()).replace(key, bytes, expected, signal);
  }

  async spool(signal: AbortSignal): Promise<string> {
    return (await this.#store()).spool(signal);
  }

  async upload(key: ObjectKey, file: string, options: UploadOptions): Promise<void> {
    return (await this.#store()).upload(key, file, options);
  }

  async fetch(key: ObjectKey, options: TransferOptions): Promise<LocalFile> {
    return (await this.#store()).fetch(key, options);
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<ObjectFacts, void> {
    yield* (await this.#store()).list(prefix, signal);
  }

  async *folders(prefix: string, signal: AbortSignal): AsyncGenerator<string, void> {
    yield* (await this.#store()).folders(prefix, signal);
  }

  async remove(key: ObjectKey, signal: AbortSignal): Promise<void> {
    return (await this.#store()).remove(key, signal);
  }

  async *unfinished(olderThanMs: number, signal: AbortSignal): AsyncGenerator<UnfinishedWrite, void> {
    yield* (await this.#store()).unfinished(olderThanMs, signal);
  }

  async sweepUnfinished(olderThanMs: number, signal: AbortSignal): Promise<number> {
    return (await this.#store()).sweepUnfinished(olderThanMs, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.[Symbol.asyncDispose]();
  }

  #store(): Promise<ObjectStore> {
    return (this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    }));
  }
}
