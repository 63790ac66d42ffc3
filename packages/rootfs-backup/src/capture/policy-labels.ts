import { capability, type Capability, type Labels } from "@aeon/core";

/** Takes down what policies of the cluster say of pods. */
export interface PolicyLabels {
  /** Replaces what was said of the pod; its own labels win over it. Durable when it resolves. */
  decided(podUid: string, labels: Labels): Promise<void>;
  /** What was said last. */
  of(podUid: string): Labels;
}

/** Provided by the backup plugin. */
export const policyLabels: Capability<PolicyLabels> = capability("policy-labels");
