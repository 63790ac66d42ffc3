import { keyLabel } from "../capture/labels.ts";
import type { BackupIdentity } from "./backup-document.ts";
import type { ChainKey } from "./chain.ts";

type Whose = Pick<BackupIdentity, "namespace" | "containerId" | "labels" | "pod">;

/** The chain of a container: by its pod's namespace and name in Kubernetes, else by containerd's namespace and its id. */
export function chainOf({ namespace, containerId, labels, pod }: Whose): ChainKey {
  const key = labels[keyLabel];
  const hasKey = key !== undefined && key !== "";
  if (pod === undefined)
    return { tenant: namespace, workload: hasKey ? key : containerId, container: "main" };
  return { tenant: pod.namespace, workload: hasKey ? key : pod.name, container: pod.container };
}
