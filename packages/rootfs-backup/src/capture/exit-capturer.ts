import {
  errorMessage,
  Lifetime,
  type ContainerEntry,
  type ContainerRegistry,
  type Logger,
  type SnapshotKey,
  type Snapshotter,
} from "@aeon/core";
import type { BackupRecord } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { BindingRecords } from "../records/binding-records.ts";
import { chainOf } from "../store/chain-of.ts";
import { isSameChain, type ChainKey } from "../store/chain.ts";
import { boundTo, findLayer, isEmptyFolder, statSnapshot } from "./find-layer.ts";
import { howOf } from "./new-backup.ts";
import type { Pods } from "./pods.ts";
import { mustKeep, onExitOf, type DefaultPolicy, type OnExit } from "./policy.ts";
import type { Settler } from "./settler.ts";
import { containerKey } from "./snapshot-key.ts";
import { mayWrite, type Tasks } from "./tasks.ts";

export interface ExitCapturerOptions {
  readonly policy: DefaultPolicy;
  readonly onExit: OnExit;
  readonly registry: ContainerRegistry;
  readonly backend: Snapshotter;
  readonly backups: BackupRecords;
  readonly bindings: BindingRecords;
  readonly pods: Pods;
  readonly settler: Settler;
  /** Absent where no containerd is known; then only the registry tells who has ended. */
  readonly tasks: Tasks | undefined;
  readonly assertRoom: (key: SnapshotKey) => void;
  readonly log: Logger;
}

/**
 * Takes the layers of containers when their tasks end, where they lie: long before anybody removes them. What cannot
 * be taken now is taken at the removal.
 */
export class ExitCapturer implements AsyncDisposable {
  readonly #options: ExitCapturerOptions;
  readonly #life = new Lifetime();
  readonly #running = new Map<SnapshotKey, Promise<BackupRecord | undefined>>();

  constructor(options: ExitCapturerOptions) {
    this.#options = options;
    this.#life.defer(async () => void (await Promise.allSettled(this.#running.values())));
    if (options.policy === "none") return;
    this.#life.use(options.registry.onExit((entry) => this.#note(entry)));
    // Those that ended while nobody listened.
    for (const entry of options.registry.list()) if (entry.exit !== undefined) this.#note(entry);
  }

  /**
   * Takes what containers of the chain have left that ended and were not removed yet, whatever the policy: their
   * successor starts from it.
   */
  async settleChain(chain: ChainKey, signal: AbortSignal): Promise<void> {
    const { registry, pods, tasks } = this.#options;
    for (const entry of registry.list()) {
      const { namespace, containerId, pod, labels } = pods.named(entry);
      if (containerId === undefined || entry.sandbox) continue;
      const own = chainOf({ namespace, containerId, labels, ...(pod !== undefined && { pod }) });
      if (!isSameChain(own, chain)) continue;
      // Where nobody can be asked, only an end that was seen is one.
      const hasEnded =
        entry.exit !== undefined ||
        (tasks !== undefined && !mayWrite(await tasks.state(namespace, containerId, signal)));
      if (hasEnded && pod !== undefined) await this.#take(entry);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  #note(entry: ContainerEntry): void {
    const { pods, onExit, log } = this.#options;
    if (entry.sandbox || onExitOf(entry, pods.labelsOf(entry), onExit) === "wait") return;
    this.#take(entry).catch((error: unknown) => {
      if (!this.#life.signal.aborted)
        log.debug({ snapshot: entry.snapshotKey, error: errorMessage(error) }, "layer not taken at exit");
    });
  }

  #take(entry: ContainerEntry): Promise<BackupRecord | undefined> {
    const { snapshotKey: key } = entry;
    const before = this.#running.get(key);
    const work = (before ?? Promise.resolve())
      .catch(() => {})
      .then(() => this.#capture(entry))
      .finally(() => {
        if (this.#running.get(key) === work) this.#running.delete(key);
      });
    this.#running.set(key, work);
    return work;
  }

  async #capture(entry: ContainerEntry): Promise<BackupRecord | undefined> {
    const { policy, backend, backups, bindings, pods, settler, assertRoom } = this.#options;
    const { snapshotKey: key } = entry;
    const context = { backend, caller: {}, signal: this.#life.signal };
    const parts = containerKey(key);
    const info = parts && (await statSnapshot(key, context));
    if (parts === undefined || info?.kind !== "active") return undefined;
    const earlier = backups.ofSnapshot(key, info.createdAt);
    if (earlier !== undefined) {
      if (entry.outOfMemory === true) await backups.endedBy(earlier.id, "oom");
      return earlier;
    }
    if (!mustKeep({ policy, entry, snapshotLabels: info.labels, podLabels: pods.labelsOf(entry) }))
      return undefined;
    const layer = await findLayer(key, context);
    if (layer === undefined || isEmptyFolder(layer.upperdir)) return undefined;
    assertRoom(key);
    const binding = boundTo(bindings.get(key), info);
    const found = { key, parts, info, layer, entry: pods.named(entry), binding };
    return settler.settle(found, howOf(entry, pods.endingOf(entry)));
  }
}
