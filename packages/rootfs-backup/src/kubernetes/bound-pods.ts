import { setTimeout as delay } from "node:timers/promises";
import { errorMessage, type Labels, type Logger, type PodIdentity } from "@aeon/core";
import { parserOf, type Kubernetes } from "@aeon/kube";
import * as v from "valibot";
import { containersLabel, enabledLabel, keyLabel, restoreLabel } from "../capture/labels.ts";
import type { BackupService } from "../backup-service.ts";
import {
  allBackups,
  backupObjectSchema,
  labelValue,
  parsePod,
  podLabel,
  podPath,
  type BackupObject,
  type Pod,
} from "./api.ts";
import { deploymentOf, Slots, type Slot } from "./slots.ts";

export interface BoundPodsOptions {
  readonly kubernetes: Kubernetes;
  readonly backups: Pick<BackupService, "prefetch">;
  /** A pod of this node; undefined when none is known. */
  readonly pod: (uid: string) => Pod | undefined;
  /** Whether the cluster is followed right now. */
  readonly isFollowing: () => boolean;
  /** What labels, annotations and policies say of the pod. */
  readonly wishes: (pod: Pod) => Labels;
  /** Takes over what other nodes were to restore into a pod of the name. */
  readonly adopt: (namespace: string, pod: string) => Promise<void>;
  /** Takes down which workload the pod continues; durable when it resolves. */
  readonly continues: (pod: Pod, key: string) => Promise<void>;
  /** Milliseconds that a start waits for what the pod's predecessor still has to do; 90 s when absent. */
  readonly predecessorMs?: number | undefined;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Milliseconds that a start waits to hear of its pod. */
const unheardMs = 3000;
const defaultPredecessorMs = 90_000;
const pollMs = 500;
/** Backups brought here at the same time before their containers ask. */
const mostAhead = 2;

const parseBackups = parserOf(v.object({ items: v.nullish(v.array(backupObjectSchema), []) }));

/** Gets ready for pods as soon as they are bound to this node: their slots, the ends of who was before, and the files. */
export class BoundPods {
  readonly #options: BoundPodsOptions;
  readonly #slots: Slots;
  readonly #predecessorMs: number;
  readonly #ready = new Map<string, Promise<void>>();
  readonly #awaited = new Map<string, () => void>();
  readonly #ahead: (() => Promise<void>)[] = [];
  #fetching = 0;

  constructor(options: BoundPodsOptions) {
    this.#options = options;
    this.#slots = new Slots(options.kubernetes);
    this.#predecessorMs = options.predecessorMs ?? defaultPredecessorMs;
  }

  /** The pod is new or different. */
  seen(pod: Pod): void {
    const { uid } = pod.metadata;
    this.#awaited.get(uid)?.();
    if (this.#ready.has(uid) || !isStarting(pod)) return;
    const work = this.#prepare(pod).catch((error: unknown) => {
      if (!this.#options.signal.aborted) throw error;
    });
    // Whoever starts the pod's containers hears of it.
    work.catch(() => {});
    this.#ready.set(uid, work);
  }

  gone(pod: Pod): void {
    this.#ready.delete(pod.metadata.uid);
  }

  /** Resolves when a container of the pod may look for its files. */
  async ready({ uid }: PodIdentity, signal: AbortSignal): Promise<void> {
    if (this.#options.pod(uid) === undefined && this.#options.isFollowing()) await this.#heard(uid, signal);
    await this.#ready.get(uid);
  }

  async #heard(uid: string, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#awaited.set(uid, resolve);
    try {
      await Promise.race([promise, delay(unheardMs, undefined, { signal, ref: false })]);
    } finally {
      this.#awaited.delete(uid);
    }
  }

  #isKept(pod: Pod): boolean {
    const wishes = this.#options.wishes(pod);
    const enabled = wishes[enabledLabel];
    return enabled === undefined ? wishes[containersLabel] !== undefined : enabled === "true";
  }

  async #prepare(pod: Pod): Promise<void> {
    const wishes = this.#options.wishes(pod);
    const deployment = deploymentOf(pod);
    const { name, namespace = "" } = pod.metadata;
    await this.#options.adopt(namespace, name);
    if (!this.#isKept(pod) || wishes[restoreLabel] === "never") return;
    let workload = wishes[keyLabel] ?? name;
    if (deployment !== undefined) {
      const slot = await this.#settle(pod, wishes[keyLabel] ?? deployment);
      await this.#options.continues(pod, slot.key);
      workload = slot.key;
    } else await this.#othersStored(pod, name, AbortSignal.timeout(this.#predecessorMs));
    for (const container of pod.spec.containers)
      this.#fetch(pod, { tenant: namespace, workload, container: container.name });
  }

  /** A slot whose former pod has ended, with its files in the store. */
  async #settle(pod: Pod, deployment: string): Promise<Slot> {
    const { signal } = this.#options;
    const slot = await this.#slots.take(pod, deployment, signal);
    const { predecessor } = slot;
    if (predecessor === undefined) return slot;
    const limit = AbortSignal.timeout(this.#predecessorMs);
    if (await this.#hasEnded(pod, predecessor, limit)) {
      await this.#othersStored(pod, predecessor.name, limit);
      return slot;
    }
    // Two pods never go on with the same files.
    await this.#slots.giveBack(pod, deployment, slot, signal);
    this.#tell(pod, "Warning", "PredecessorRuns", `${predecessor.name} does not end; this pod starts clean`);
    return await this.#slots.take(pod, deployment, signal, [slot.number]);
  }

  async #hasEnded(
    pod: Pod,
    { name, uid }: NonNullable<Slot["predecessor"]>,
    limit: AbortSignal,
  ): Promise<boolean> {
    const { kubernetes, signal } = this.#options;
    const { namespace = "" } = pod.metadata;
    for (let round = 0; !limit.aborted; round += 1) {
      const other = await kubernetes.get(podPath(namespace, name), parsePod, signal);
      if (other?.metadata.uid !== uid) return true;
      if (other.status?.phase === "Failed" || other.status?.phase === "Succeeded") return true;
      if (round === 0)
        this.#tell(
          pod,
          "Normal",
          "WaitsForPredecessor",
          `waits until ${name}, whose files it goes on with, has ended`,
        );
      await delay(pollMs, undefined, { signal, ref: false });
    }
    return false;
  }

  /** Waits for what other nodes still have to store of a pod of the name. */
  async #othersStored(pod: Pod, name: string, limit: AbortSignal): Promise<void> {
    const { kubernetes, signal } = this.#options;
    const { namespace = "" } = pod.metadata;
    const labelSelector = `${podLabel}=${labelValue(name)}`;
    const query = new URLSearchParams({ labelSelector }).toString();
    const path = `${allBackups.replace(/rootfsbackups$/, "")}namespaces/${namespace}/rootfsbackups?${query}`;
    for (let round = 0; !limit.aborted; round += 1) {
      const list = await kubernetes.get(path, parseBackups, signal);
      const open = (list?.items ?? []).find((each) => isUnderWay(each, kubernetes.nodeName));
      if (open === undefined) return;
      if (round === 0)
        this.#tell(
          pod,
          "Normal",
          "WaitsForBackup",
          `waits until node ${open.status?.node} has stored backup ${open.metadata.name}: ${open.status?.phase}`,
        );
      await delay(pollMs, undefined, { signal, ref: false });
    }
    this.#tell(
      pod,
      "Warning",
      "BackupNotAwaited",
      "another node does not end storing; an older backup is used",
    );
  }

  #fetch(pod: Pod, chain: Parameters<BackupService["prefetch"]>[0]): void {
    const { backups, signal, log } = this.#options;
    this.#ahead.push(async () => {
      try {
        const id = await backups.prefetch(chain, signal);
        if (id !== undefined)
          this.#tell(pod, "Normal", "FilesReady", `${chain.container} goes on with backup ${id}`);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ pod: pod.metadata.name, error: errorMessage(error) }, "files not brought ahead");
      }
    });
    this.#pump();
  }

  #pump(): void {
    while (this.#fetching < mostAhead) {
      const next = this.#ahead.shift();
      if (next === undefined) return;
      this.#fetching += 1;
      void next().finally(() => {
        this.#fetching -= 1;
        this.#pump();
      });
    }
  }

  #tell(pod: Pod, type: "Normal" | "Warning", reason: string, message: string): void {
    const { namespace = "", name, uid } = pod.metadata;
    this.#options.kubernetes.tell({
      about: { apiVersion: "v1", kind: "Pod", namespace, name, uid },
      type,
      reason,
      message,
    });
  }
}

/** No container of it has been started. */
const isStarting = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined &&
  (status?.phase === undefined || status.phase === "Pending") &&
  (status?.containerStatuses ?? []).every(
    ({ containerID }) => containerID === undefined || containerID === "",
  );

const isUnderWay = ({ status }: BackupObject, node: string): boolean =>
  status?.node !== undefined &&
  status.node !== node &&
  status.phase !== "Stored" &&
  status.phase !== "NodeLost" &&
  status.phase !== "Failed";
