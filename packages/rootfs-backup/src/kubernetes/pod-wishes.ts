import { errorMessage, type Labels, type Logger } from "@aeon/core";
import type { Kubernetes } from "@aeon/kube";
import { isSlot, keyLabel, labelPrefix } from "../capture/labels.ts";
import type { PolicyLabels } from "../capture/policy-labels.ts";
import { wishesOfAnnotations } from "./annotations.ts";
import type { Pod, Policy } from "./api.ts";
import { decide } from "./policies.ts";

export interface PodWishesOptions {
  readonly kubernetes: Kubernetes;
  readonly policyLabels: PolicyLabels;
  /** Undefined until they were read once. */
  readonly policies: () => Iterable<Policy> | undefined;
  readonly log: Logger;
}

/** What labels, annotations and policies say of this node's pods, taken down so that it counts without the cluster. */
export class PodWishes {
  readonly #options: PodWishesOptions;
  /** The workloads that pods without lasting names of their own go on with, by pod. */
  readonly #slots = new Map<string, string>();

  constructor(options: PodWishesOptions) {
    this.#options = options;
  }

  /** What the pod's own labels say, else its annotations, else policies. */
  of(pod: Pod): Labels {
    const own = Object.entries(pod.metadata.labels ?? {}).filter(([name]) => name.startsWith(labelPrefix));
    const { labels } = decide(pod, this.#options.policies() ?? []);
    return { ...labels, ...wishesOfAnnotations(pod).labels, ...Object.fromEntries(own) };
  }

  /** The pod, or what is said of it, may have changed. */
  changed(pod: Pod): void {
    const { name } = pod.metadata;
    this.#decide(pod).catch((error: unknown) =>
      this.#options.log.error({ pod: name, error: errorMessage(error) }, "policy not noted"),
    );
  }

  gone(pod: Pod): void {
    this.#slots.delete(pod.metadata.uid);
  }

  /** Takes down that the pod goes on with a slot's files; durable when it resolves. */
  async continues(pod: Pod, slot: string): Promise<void> {
    this.#slots.set(pod.metadata.uid, slot);
    await this.#decide(pod);
  }

  async #decide(pod: Pod): Promise<void> {
    const { policyLabels, kubernetes } = this.#options;
    const { uid, name, namespace = "" } = pod.metadata;
    const earlier = policyLabels.of(uid);
    if (isSlot(earlier[keyLabel]) && !this.#slots.has(uid)) this.#slots.set(uid, earlier[keyLabel]);
    const slot = this.#slots.get(uid);
    const own = slot === undefined ? {} : { [keyLabel]: slot };
    const policies = this.#options.policies();
    if (policies === undefined) {
      // What an earlier process decided stands.
      if (slot !== undefined) await policyLabels.decided(uid, { ...earlier, ...own });
      return;
    }
    const { labels, disputes } = decide(pod, policies);
    const annotated = wishesOfAnnotations(pod);
    const about = { apiVersion: "v1", kind: "Pod", namespace, name, uid };
    for (const message of disputes)
      kubernetes.tell({ about, type: "Warning", reason: "PoliciesDisagree", message });
    for (const message of annotated.faults)
      kubernetes.tell({ about, type: "Warning", reason: "AnnotationInvalid", message });
    await policyLabels.decided(uid, { ...labels, ...annotated.labels, ...own });
  }
}
