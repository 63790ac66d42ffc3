import type { ContainerEntry, ContainerRegistry, Labels, PodEndReason } from "@aeon/core";
import type { PodRecords } from "../records/pod-records.ts";
import { keyLabel, labelPrefix } from "./labels.ts";

/** What pods ask for, from their sandboxes, also after those have gone. */
export class Pods {
  readonly #registry: ContainerRegistry | undefined;
  readonly #records: PodRecords;
  readonly #now: () => bigint;

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
    return { ...this.#records.labels(uid), ...(sandbox && ownLabels(sandbox.labels)) };
  }

  /** Why the container's pod ends; undefined when nobody said. */
  endingOf(entry: ContainerEntry | undefined): PodEndReason | undefined {
    return entry?.pod && this.#records.ending(entry.pod.uid);
  }

  async ends(uid: string, reason: PodEndReason): Promise<void> {
    await this.#records.ends(uid, reason, this.#now());
  }

  /** The entry with the name of its workload among its labels, when its pod gives one and it has none itself. */
  named<Entry extends ContainerEntry | undefined>(entry: Entry): Entry {
    const key = this.labelsOf(entry)[keyLabel];
    if (entry === undefined || key === undefined || entry.labels[keyLabel] !== undefined) return entry;
    return { ...entry, labels: { ...entry.labels, [keyLabel]: key } };
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
