import type { DatabaseSync } from "node:sqlite";
import {
  errorMessage,
  type ContainerEntry,
  type ContainerId,
  type Database,
  type Logger,
  type Namespace,
  type SnapshotKey,
} from "@aeon/core";
import * as sqlOf from "./entry-sql.ts";

/** `at` is when the change was gathered, in nanoseconds since the epoch. */
type Change = (sql: DatabaseSync, at: bigint) => void;

interface Stamped {
  readonly change: Change;
  readonly at: bigint;
}

interface Gathered {
  readonly changes: Stamped[];
  /** True when the first change makes the entry. */
  readonly begins: boolean;
}

/** Milliseconds that changes wait for others to share their transaction. */
const gatherMs = 50;
/** Changes in one transaction, so that none holds the event loop for more than a few milliseconds. */
const batchLimit = 500;

/**
 * The registry's table. Facts that can be found again (from the backend and containerd) are gathered and
 * written a moment later, so that no snapshot operation waits for them; every read sees them at once.
 */
export class EntryStore implements AsyncDisposable {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #now: () => bigint;
  readonly #gathered = new Map<SnapshotKey, Gathered>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failure: string | undefined;
  #closed = false;

  constructor(database: Database, log: Logger, now: () => bigint) {
    this.#database = database;
    this.#log = log;
    this.#now = now;
  }

  /** Why the last write failed, until one succeeds. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Writes a change soon; visible to reads at once. */
  gather(key: SnapshotKey, change: Change): void {
    this.#gather(key, this.#gathered.get(key)?.changes ?? [], change, this.#gathered.get(key)?.begins);
  }

  /** As {@link gather}, for a change that makes the entry anew: earlier ones do not matter. */
  gatherFirst(key: SnapshotKey, change: Change): void {
    this.#gather(key, [], change, true);
  }

  /** As {@link gather}, for a change that forgets the entry: if it was not written yet, it never will be. */
  gatherLast(key: SnapshotKey, change: Change): void {
    const earlier = this.#gathered.get(key);
    this.#gather(key, earlier === undefined || earlier.begins ? [] : earlier.changes, change);
  }

  /** Runs the work in a transaction after everything gathered; resolves when durable. */
  async write<T>(work: (sql: DatabaseSync) => T): Promise<T> {
    this.#write();
    return await this.#database.write(work);
  }

  read<T>(work: (sql: DatabaseSync) => T): T {
    this.#write();
    return this.#database.read(work);
  }

  get(key: SnapshotKey): ContainerEntry | undefined {
    return this.#known((sql) => sqlOf.selectByKey(sql, key), undefined);
  }

  byContainer(space: Namespace, id: ContainerId): ContainerEntry | undefined {
    return this.#known((sql) => sqlOf.selectByContainer(sql, space, id), undefined);
  }

  list(): readonly ContainerEntry[] {
    return this.#known(sqlOf.selectAll, []);
  }

  ofPod(uid: string): readonly ContainerEntry[] {
    return this.#known((sql) => sqlOf.selectByPod(sql, uid), []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#write();
    this.#closed = true;
    await this.#writing;
    await this.#database[Symbol.asyncDispose]();
  }

  /** With a disk that failed nothing is known any more; that must not keep containers from starting. */
  #known<T>(work: (sql: DatabaseSync) => T, nothing: T): T {
    return this.#database.failure === undefined ? this.read(work) : nothing;
  }

  #gather(key: SnapshotKey, changes: Stamped[], change: Change, begins = false): void {
    if (this.#closed) return;
    changes.push({ change, at: this.#now() });
    this.#gathered.set(key, { changes, begins });
    if (this.#gathered.size >= batchLimit) this.#write();
    else this.#timer ??= setTimeout(() => this.#write(), gatherMs);
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#gathered.size === 0) return;
    const changes = [...this.#gathered.values()].flatMap((gathered) => gathered.changes);
    this.#gathered.clear();
    const written = this.#database.write((sql) => {
      for (const { change, at } of changes) change(sql, at);
    });
    this.#writing = this.#settled(Promise.all([this.#writing, written]), changes.length);
  }

  async #settled(written: Promise<unknown>, changes: number): Promise<void> {
    try {
      await written;
      this.#failure = undefined;
    } catch (error) {
      // What is lost here is found again by reconciliation.
      this.#failure = errorMessage(error);
      this.#log.error({ error: this.#failure, changes }, "container registry could not be written");
    }
  }
}
