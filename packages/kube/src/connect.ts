import type { Logger } from "@aeon/core";
import { inCluster, ownNamespace } from "./access/in-cluster.ts";
import { fromKubeconfig } from "./access/kubeconfig.ts";
import { KubeClient } from "./client.ts";

export interface ConnectOptions {
  /** Path of a kubeconfig; the pod's ServiceAccount when empty. */
  readonly kubeconfig: string;
  readonly nodeName: string;
  /** Where the agents keep their leases; that of the pod, else `aeon-system`, when absent. */
  readonly agentNamespace?: string;
  /** See {@link KubeClient.heartbeatMs}; 20 s when absent. */
  readonly heartbeatMs?: number;
  /** Says where the cluster is, inside a pod. */
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
}

/** Reads the credentials and makes a client; no call is made. Rejects with `KUBE_CONFIG_INVALID`. */
export async function connectKubernetes(options: ConnectOptions): Promise<KubeClient> {
  const { kubeconfig, nodeName, agentNamespace, heartbeatMs, environment, log } = options;
  const access = kubeconfig === "" ? await inCluster(environment) : await fromKubeconfig(kubeconfig);
  const namespace = agentNamespace ?? (kubeconfig === "" ? await ownNamespace() : undefined);
  return new KubeClient({
    access,
    nodeName,
    log,
    ...(namespace !== undefined && { agentNamespace: namespace }),
    ...(heartbeatMs !== undefined && { heartbeatMs }),
  });
}
