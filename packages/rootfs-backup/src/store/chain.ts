import * as v from "valibot";
import { keyLabel } from "../capture/labels.ts";
import type { BackupIdentity } from "./backup-document.ts";

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(1024));

export const chainSchema = v.pipe(
  v.object({
    /** Whose data it is: nobody else's documents may name its blobs. */
    tenant: name,
    workload: name,
    container: name,
  }),
  v.readonly(),
);

/** What successive backups continue: a container of a workload, whatever pod, node or container id it has at a time. */
export type ChainKey = v.InferOutput<typeof chainSchema>;

type Whose = Pick<BackupIdentity, "namespace" | "containerId" | "labels" | "pod">;

/** The chain of a container: by its pod's namespace and name in Kubernetes, else by containerd's namespace and its id. */
export function chainOf({ namespace, containerId, labels, pod }: Whose): ChainKey {
  const key = labels[keyLabel];
  const hasKey = key !== undefined && key !== "";
  if (pod === undefined)
    return { tenant: namespace, workload: hasKey ? key : containerId, container: "main" };
  return { tenant: pod.namespace, workload: hasKey ? key : pod.name, container: pod.container };
}

export const isSameChain = (a: ChainKey, b: ChainKey): boolean =>
  a.tenant === b.tenant && a.workload === b.workload && a.container === b.container;

/** For people. */
export const chainName = ({ tenant, workload, container }: ChainKey): string =>
  `${tenant}/${workload}/${container}`;
