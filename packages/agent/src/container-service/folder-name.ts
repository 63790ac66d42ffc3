import type { CallerPod, ContainerId, Namespace } from "@aeon/core";
import { errors } from "./errors.ts";

/** Whose folder it is. */
export interface FolderOwner {
  readonly namespace: Namespace;
  readonly pod?: CallerPod;
  readonly containerId: ContainerId;
}

const safe = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * The name of a pod's folder: its uid, or `namespace~id` for a container without a pod. Throws for names that are
 * no plain file names, which neither Kubernetes nor containerd gives.
 */
export function folderName({ namespace, pod, containerId }: FolderOwner): string {
  const parts = pod === undefined ? [namespace, containerId] : [pod.uid];
  for (const part of parts)
    if (!safe.test(part))
      throw errors.POD_FOLDER_UNUSABLE(`"${part}" cannot be part of a folder's name`, {
        details: { part },
      });
  return parts.join("~");
}
