import { isDeepStrictEqual } from "node:util";
import type { ContainerEntry, ContainerRegistry, Labels, PodEndReason } from "@aeon/core";
import { present } from "../present.ts";
import type { PodRecords } from "../records/pod-records.ts";
import { isSlot, keyLabel, labelPrefix, retentionLabel } from "./labels.ts";

/** What pods ask for, from their sandboxes, also after those have gone. */
export class Pods {
  readonly #registry: ContainerRegistry | undefined;
  readonly #records: PodRecords;
  readonly #now: () => bigint;
  /** Decisions on their way to the database. */
  readonly #decisions = new Map<string, Labels>();

  constructor(registry: ContainerRegistry | undefined, records: PodRecords, now: () => bigint) {
    this.#registry = registry;
    this.#records = records;
    this.#now = now;
  }

  /** The labels of a container's pod that are about backups; empty when it has none or is in no pod. */
  labelsOf(entry: ContainerEntry | undefined): Labels {
    const uid = entry?.pod?.uid;
    if (uid === undefined) return {};
    const sandbox = this.#registry?.ofPod(uid).find((each) => each.sandbox);
    const policy = this.policyOf(uid);
    const own = { ...this.#records.labels(uid), ...(sandbox && ownLabels(sandbox.labels)) };
    // A key in the template of a Deployment is the same for all its pods, which must not share files.
    const slot = policy[keyLabel];
    return { ...policy, ...own, ...(isSlot(slot) && { [keyLabel]: slot }) };
  }

  /** Takes down what policies say of a pod; what it says itself wins. */
  async decided(uid: string, labels: Labels): Promise<void> {
    if (isDeepStrictEqual(this.policyOf(uid), labels)) return;
    this.#decisions.set(uid, labels);
    try {
      await this.#records.decided(uid, labels, this.#now());
    } finally {
      this.#decisions.delete(uid);
    }
  }

  /** What policies said last of a pod. */
  policyOf(uid: string): Labels {
    return this.#decisions.get(uid) ?? this.#records.policy(uid);
  }

  /** Why the container's pod ends; undefined when nobody said. */
  endingOf(entry: ContainerEntry | undefined): PodEndReason | undefined {
    return entry?.pod && this.#records.ending(entry.pod.uid);
  }

  async ends(uid: string, reason: PodEndReason): Promise<void> {
    await this.#records.ends(uid, reason, this.#now());
  }

  /**
   * The entry with what backups have to know of its workload among its labels: its name, when its pod gives one and it
   * has none itself, and how long its backups stay, which only policies say.
   */
  named<Entry extends ContainerEntry | undefined>(entry: Entry): Entry {
    if (entry === undefined) return entry;
    const { [retentionLabel]: forged, ...own } = entry.labels;
    const key = own[keyLabel] === undefined ? this.labelsOf(entry)[keyLabel] : undefined;
    const retention = entry.pod && this.policyOf(entry.pod.uid)[retentionLabel];
    if (key === undefined && retention === forged) return entry;
    const given = { [keyLabel]: key, [retentionLabel]: retention };
    return { ...entry, labels: { ...own, ...present(given) } };
  }

  /** Keeps what a pod asks for when its sandbox goes before its containers do. */
  async remember({ pod, labels }: ContainerEntry): Promise<void> {
    const own = ownLabels(labels);
    if (pod !== undefined && Object.keys(own).length > 0)
      await this.#records.remember(pod.uid, own, this.#now());
  }
}

const ownLabels = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([name]) => name.startsWith(labelPrefix)));
