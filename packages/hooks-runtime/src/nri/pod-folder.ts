import {
  containerId,
  namespace,
  type PodFolderAttachment,
  type PodFolderSubject,
  type PodFolders,
} from "@aeon/core";
import type { Container, PodSandbox } from "@aeon/proto/nri";
import type { Injection } from "../rules/injection.ts";

/** The namespace in which containerd's CRI plugin keeps all it makes. */
export const criNamespace = namespace("k8s.io");

/** The runtime waits two seconds with all its other calls. */
const longestMs = 1000;

/** What a container that has opted in gets of its pod's folder; undefined for others. */
export async function podFolderFor(
  folders: PodFolders | undefined,
  pod: PodSandbox,
  container: Container,
): Promise<PodFolderAttachment | undefined> {
  if (folders === undefined) return undefined;
  const subject: PodFolderSubject = {
    namespace: criNamespace,
    containerId: containerId(container.id),
    pod: { namespace: pod.namespace, name: pod.name, uid: pod.uid },
    labels: { ...pod.labels, ...container.labels },
    annotations: { ...pod.annotations, ...container.annotations },
    sandbox: false,
  };
  if (!folders.wants(subject)) return undefined;
  return folders.attach(subject, AbortSignal.timeout(longestMs));
}

/** An injection with the folder's mounts, where nothing else is mounted, and its programs in the PATH. */
export function withPodFolder(
  injection: Injection,
  { mounts, pathEntry }: PodFolderAttachment,
  container: Container,
): Injection {
  const taken = new Set([...container.mounts, ...injection.mounts].map(({ destination }) => destination));
  const path = [...container.env, ...injection.env].findLast((variable) => variable.startsWith("PATH="));
  return {
    ...injection,
    mounts: [...injection.mounts, ...mounts.filter(({ destination }) => !taken.has(destination))],
    env:
      path === undefined
        ? injection.env
        : [...injection.env.filter((variable) => variable !== path), `${path}:${pathEntry}`],
  };
}
