import type { SnapshotUsage } from "@aeon/core";
import type { Measured } from "@aeon/core/trees";
import type { DiskThread } from "./disk-thread.ts";
import { fileError } from "./file-error.ts";
import { filesOf } from "./mounts.ts";
import type { SnapshotRecord } from "./record.ts";
import { measureSmallTree, smallTreeEntries } from "./small-tree.ts";
import type { SnapshotStore } from "./snapshot-store.ts";

/** A view has no files of its own. */
const nothing: SnapshotUsage = { size: 0n, inodes: 0n };

/**
 * Measures snapshots. Committed ones never change: they are measured when first asked for (Commit must not take
 * the time, containerd holds its database lock), once for all who ask, and the result is stored.
 */
export class Usage {
  readonly #store: SnapshotStore;
  readonly #thread: DiskThread;
  readonly #snapshots: string;
  /** Active snapshots that were too large for this thread last time. */
  readonly #large = new Set<number>();
  readonly #measuring = new Map<number, Promise<SnapshotUsage>>();
  readonly #never = new AbortController().signal;

  constructor(store: SnapshotStore, thread: DiskThread, snapshots: string) {
    this.#store = store;
    this.#thread = thread;
    this.#snapshots = snapshots;
  }

  async of(record: SnapshotRecord, signal: AbortSignal): Promise<SnapshotUsage> {
    if (record.kind === "view") return nothing;
    if (record.kind === "active") return this.#measure(record.id, signal);
    return record.usage ?? this.#share(record.id);
  }

  #share(id: number): Promise<SnapshotUsage> {
    const known = this.#measuring.get(id);
    if (known !== undefined) return known;
    const measuring = this.#measureAndStore(id).finally(() => this.#measuring.delete(id));
    this.#measuring.set(id, measuring);
    return measuring;
  }

  async #measureAndStore(id: number): Promise<SnapshotUsage> {
    const usage = await this.#measure(id, this.#never);
    await this.#store.setUsage(id, usage);
    return usage;
  }

  async #measure(id: number, signal: AbortSignal): Promise<SnapshotUsage> {
    try {
      const { size, inodes } = await this.#walk(id, signal);
      return { size: BigInt(size), inodes: BigInt(inodes) };
    } catch (error) {
      if (signal.aborted) throw error;
      throw fileError(error, `measure snapshot ${id}`);
    }
  }

  async #walk(id: number, signal: AbortSignal): Promise<Measured> {
    const path = filesOf(this.#snapshots, id);
    const small = this.#large.delete(id) ? undefined : await measureSmallTree(path);
    if (small !== undefined) return small;
    const measured = await this.#thread.measure(path, signal);
    if (measured.inodes > smallTreeEntries && this.#store.byId(id)?.kind === "active") this.#large.add(id);
    return measured;
  }
}
