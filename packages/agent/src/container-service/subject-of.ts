import type { ContainerInfo } from "@aeon/containerd";
import { containerId, type CallerPod, type Namespace, type PodFolderSubject } from "@aeon/core";

/** What containerd's record tells of a container that is there already. */
export function subjectOf(namespace: Namespace, { id, labels, spec }: ContainerInfo): PodFolderSubject {
  const pod = podOf(labels);
  return {
    namespace,
    containerId: containerId(id),
    ...(pod && { pod }),
    labels,
    annotations: spec?.annotations ?? {},
    sandbox: labels["io.cri-containerd.kind"] === "sandbox",
  };
}

function podOf(labels: Readonly<Record<string, string>>): CallerPod | undefined {
  const uid = labels["io.kubernetes.pod.uid"];
  const name = labels["io.kubernetes.pod.name"];
  const space = labels["io.kubernetes.pod.namespace"];
  return uid && name && space ? { uid, name, namespace: space } : undefined;
}
