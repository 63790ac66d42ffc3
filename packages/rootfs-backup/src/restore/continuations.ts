import {
  errorMessage,
  type BackupId,
  type ContainerEntry,
  type Labels,
  type Logger,
  backupId,
} from "@aeon/core";
import { keyLabel, neverRestored } from "../capture/labels.ts";
import { mustKeep, type DefaultPolicy } from "../capture/policy.ts";
import type { Pods } from "../capture/pods.ts";
import { errors } from "../errors.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { BackupDocument } from "../store/backup-document.ts";
import { compareRefs, type BackupRef } from "../store/backup-ref.ts";
import type { BackupStore } from "../store/backup-store.ts";
import { chainOf } from "../store/chain-of.ts";
import { chainName, isSameChain, type ChainKey } from "../store/chain.ts";

/** What a container gets while nobody can tell whether it has files: it waits, or starts without. */
export type RestoreUnavailable = "wait" | "fresh";

export interface ContinuationsOptions {
  readonly policy: DefaultPolicy;
  readonly unavailable: RestoreUnavailable;
  readonly store: BackupStore;
  readonly backups: BackupRecords;
  readonly pods: Pods;
  /** A backup, once it is stored; waits for one that is still being packed. */
  readonly documentOf: (backup: BackupId, signal: AbortSignal) => Promise<BackupDocument>;
  /** Takes what ended containers of the chain left on this host that nobody has removed yet. */
  readonly settleChain: (chain: ChainKey, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

/** Finds which backup a container continues by its identity: its workload's last one, from whatever node. */
export class Continuations {
  readonly #options: ContinuationsOptions;

  constructor(options: ContinuationsOptions) {
    this.#options = options;
  }

  /** The chain that a container continues by itself; undefined when it is not kept, or has no name of its own that lasts. */
  chainOf(entry: ContainerEntry, snapshotLabels: Labels): ChainKey | undefined {
    const { policy, pods } = this.#options;
    const podLabels = pods.labelsOf(entry);
    const { namespace, containerId, pod, labels } = pods.named(entry);
    const isNamed = pod !== undefined || labels[keyLabel] !== undefined;
    if (!isNamed || containerId === undefined || neverRestored(entry.labels, podLabels)) return undefined;
    if (!mustKeep({ policy, entry, snapshotLabels, podLabels })) return undefined;
    return chainOf({ namespace, containerId, labels, ...(pod !== undefined && { pod }) });
  }

  /**
   * The last backup of a chain; undefined when it has none. Waits until what this node still has to store of it is
   * stored, as that may be the last. Rejects with `RESTORE_UNAVAILABLE` when nobody can tell, unless the policy is to
   * start without.
   */
  async tip(chain: ChainKey, signal: AbortSignal): Promise<BackupId | undefined> {
    const { unavailable, log } = this.#options;
    try {
      return await this.find(chain, signal);
    } catch (error) {
      signal.throwIfAborted();
      const cause = errorMessage(error);
      if (unavailable === "wait")
        throw errors.RESTORE_UNAVAILABLE(
          `nobody can tell whether ${chainName(chain)} has files to restore: ${cause}`,
          { cause: error, details: { chain: chainName(chain) } },
        );
      log.error(
        { chain: chainName(chain), error: cause },
        "container starts clean: its backups cannot be asked for",
      );
      return undefined;
    }
  }

  /** The newest backup of a chain that is older than the given one; undefined when that is the first. */
  async before(id: BackupId, signal: AbortSignal): Promise<BackupId | undefined> {
    const { store } = this.#options;
    const of = await store.named(id, signal);
    if (of === undefined) return undefined;
    let newest: BackupRef | undefined;
    for await (const ref of store.list({ ...of.chain, onDamaged: () => {} }, signal))
      if (compareRefs(ref, of) < 0 && (newest === undefined || compareRefs(ref, newest) > 0)) newest = ref;
    return newest && backupId(newest.id);
  }

  /** As {@link tip}, whatever the policy; rejects with the store's own errors. */
  async find(chain: ChainKey, signal: AbortSignal): Promise<BackupId | undefined> {
    const { store, backups, documentOf, settleChain } = this.#options;
    await settleChain(chain, signal);
    const pending = backups
      .unfinished()
      .filter(({ state, identity }) => state !== "stored" && isSameChain(chainOf(identity), chain));
    for (const { id, state } of pending) if (state === "staged") await documentOf(id, signal);
    const tip = (await store.head(chain, signal))?.tip;
    return tip && backupId(tip.backup);
  }
}
