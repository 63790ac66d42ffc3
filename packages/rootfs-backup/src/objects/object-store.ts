/**
 * Name of an object: segments of letters, digits, `.`, `_`, `-` and `~` with slashes between them (see
 * `encodeSegment`), at most 900 bytes. Objects that are replaced have a last segment in capitals such as
 * `HEAD.json`; all others are written once.
 */
export type ObjectKey = string;

/** What a store says of an object. */
export interface ObjectFacts {
  readonly key: ObjectKey;
  readonly size: number;
  /** By the store's clock, which need not be this host's. */
  readonly modifiedAt: Date;
  /** Changes whenever the content does; opaque. */
  readonly version: string;
}

export interface TransferOptions {
  /** What the object has to have, in bytes; anything else is a failure. */
  readonly size: number;
  readonly signal: AbortSignal;
  /** Told how many bytes are done so far, now and then. */
  readonly onProgress?: (bytes: number) => void;
}

/** Resolves when so many more bytes may go; rejects when the signal fires first. */
export type Pace = (bytes: number, signal: AbortSignal) => Promise<void>;

export interface UploadOptions extends TransferOptions {
  /** Leaves the file where it is. */
  readonly keep?: boolean;
  /** Asked before bytes leave this host's disk; without it they go as fast as they can. */
  readonly pace?: Pace;
}

/** A file on this host; disposing removes it where it was made for the caller. */
export interface LocalFile extends AsyncDisposable {
  readonly path: string;
}

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** Ends early at the end of the object; all of it when absent. */
  readonly range?: { readonly offset: number; readonly length: number };
}

/** What a write left that never ended. */
export interface UnfinishedWrite {
  /** For people: a file below the store's location, or the key of an upload in parts. */
  readonly name: string;
  /** As far as the store tells. */
  readonly size?: number;
}

/** What a store can do, found out by trying. */
export interface StoreAbilities {
  /** False when `replace` cannot exclude that two writers both succeed. */
  readonly compareAndSwap: boolean;
  /** For people: what makes this store less safe than it should be. */
  readonly warnings?: readonly string[];
}

/**
 * Bytes by name, on any medium; `test/object-store-contract.ts` says what every one does. What resolved is durable
 * and seen by everybody. Safe for several writers on several hosts. Each method rejects with `STORE_UNUSABLE`,
 * `STORE_UNREACHABLE` or `STORE_DENIED` while the store cannot be used.
 */
export interface ObjectStore extends AsyncDisposable {
  /** For people, without secrets: `/path` or `s3://bucket/prefix`. */
  readonly location: string;
  /** Tries the store once; after a failure the next call tries again. */
  ready(signal: AbortSignal): Promise<StoreAbilities>;
  stat(key: ObjectKey, signal: AbortSignal): Promise<ObjectFacts | undefined>;
  /** For small objects and ranges: the bytes are held in memory. Undefined when there is no such object. */
  read(
    key: ObjectKey,
    options: ReadOptions,
  ): Promise<{ readonly bytes: Buffer; readonly version: string } | undefined>;
  /** Makes a new object; false when the name is taken. */
  create(key: ObjectKey, bytes: Buffer, signal: AbortSignal): Promise<boolean>;
  /**
   * Replaces an object if it is still of the expected version (undefined: if there is none), which is what `read`
   * gave; false when it is not.
   */
  replace(key: ObjectKey, bytes: Buffer, expected: string | undefined, signal: AbortSignal): Promise<boolean>;
  /** A folder on this host for files to be uploaded. What is in it survives restarts of this writer. */
  spool(signal: AbortSignal): Promise<string>;
  /**
   * Takes a flushed file over as an object whose name stands for its content, so that one which is there already
   * will do. May be repeated after any failure or crash, also when the file is gone because it was done.
   */
  upload(key: ObjectKey, file: string, options: UploadOptions): Promise<void>;
  /** A whole object as a file on this host. Rejects with `BACKUP_DAMAGED` when it is absent or of another size. */
  fetch(key: ObjectKey, options: TransferOptions): Promise<LocalFile>;
  /** All objects below a folder (a prefix that ends with a slash), in no particular order. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<ObjectFacts>;
  /** Names of the folders right in a folder. */
  folders(prefix: string, signal: AbortSignal): AsyncIterable<string>;
  /** Fine when there is no such object. */
  remove(key: ObjectKey, signal: AbortSignal): Promise<void>;
  /** What {@link sweepUnfinished} would delete. */
  unfinished(olderThanMs: number, signal: AbortSignal): AsyncIterable<UnfinishedWrite>;
  /** Deletes what unfinished writes and uploads of any writer left, if older than that; gives how many. */
  sweepUnfinished(olderThanMs: number, signal: AbortSignal): Promise<number>;
}
