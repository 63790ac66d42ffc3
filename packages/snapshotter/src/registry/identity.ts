import type { Labels, PodIdentity } from "@aeon/core";

/** What kubelet and containerd's CRI plugin write on a container's record. */
const label = {
  podName: "io.kubernetes.pod.name",
  podNamespace: "io.kubernetes.pod.namespace",
  podUid: "io.kubernetes.pod.uid",
  container: "io.kubernetes.container.name",
  kind: "io.cri-containerd.kind",
} as const;

/** Stands for the sandbox (pause) container, which no pod's spec names. */
export const sandboxContainerName = "POD";

/** True for the pause container of a pod. */
export const isSandbox = (labels: Labels): boolean => labels[label.kind] === "sandbox";

/** Which container of which pod; undefined outside Kubernetes. */
export function podIdentityOf(labels: Labels): PodIdentity | undefined {
  const name = labels[label.podName];
  const namespace = labels[label.podNamespace];
  const uid = labels[label.podUid];
  const container = labels[label.container] ?? (isSandbox(labels) ? sandboxContainerName : undefined);
  if (!name || !namespace || !uid || !container) return undefined;
  return { namespace, name, uid, container };
}
