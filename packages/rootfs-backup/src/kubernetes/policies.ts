import type { Labels } from "@aeon/core";
import {
  containersLabel,
  enabledLabel,
  restoreLabel,
  retentionLabel,
  scheduleLabel,
} from "../capture/labels.ts";
import { present } from "../present.ts";
import type { Pod, Policy } from "./api.ts";
import { retentionOf } from "./policy-retention.ts";

/** What policies say of a pod, and which of them contradict each other. */
export interface Decision {
  /** Empty when no policy selects the pod. */
  readonly labels: Labels;
  /** For people; empty when all agree. */
  readonly disputes: readonly string[];
}

const selects = ({ metadata, spec }: Policy, pod: Pod): boolean =>
  metadata.namespace === pod.metadata.namespace &&
  Object.entries(spec.selector.matchLabels).every(([name, value]) => pod.metadata.labels?.[name] === value);

/** The oldest wins, then the first by name, so that every node and every restart decides alike. */
const byAge = ({ metadata: a }: Policy, { metadata: b }: Policy): number =>
  (a.creationTimestamp ?? "").localeCompare(b.creationTimestamp ?? "") || a.name.localeCompare(b.name);

function wishesOf({ spec }: Policy): Labels {
  return {
    [enabledLabel]: "true",
    ...(spec.containers && { [containersLabel]: spec.containers.join(",") }),
    ...(spec.schedule !== undefined && { [scheduleLabel]: spec.schedule }),
    ...(spec.restore === "never" && { [restoreLabel]: "never" }),
    ...present({ [retentionLabel]: validRetentionOf(spec) }),
  };
}

/** The policy's status tells its author what is wrong. */
function validRetentionOf(spec: Policy["spec"]): string | undefined {
  try {
    return retentionOf(spec);
  } catch {
    return undefined;
  }
}

/** What the policies of a pod's namespace say of it, as if its labels said so; the pod's own labels win over them. */
export function decide(pod: Pod, policies: Iterable<Policy>): Decision {
  const labels: Record<string, string> = {};
  const authors = new Map<string, string>();
  const disputes: string[] = [];
  for (const policy of [...policies].filter((each) => selects(each, pod)).toSorted(byAge))
    for (const [name, value] of Object.entries(wishesOf(policy))) {
      const author = authors.get(name);
      if (author === undefined) {
        labels[name] = value;
        authors.set(name, policy.metadata.name);
      } else if (labels[name] !== value)
        disputes.push(`${policy.metadata.name} wants ${name}=${value}, ${author} is older and wins`);
    }
  return { labels, disputes };
}
