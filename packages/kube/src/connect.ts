import type { Logger } from "@aeon/core";
import { inCluster } from "./access/in-cluster.ts";
import { fromKubeconfig } from "./access/kubeconfig.ts";
import { KubeClient } from "./client.ts";

export interface ConnectOptions {
  /** Path of a kubeconfig; the pod's ServiceAccount when empty. */
  readonly kubeconfig: string;
  readonly nodeName: string;
  /** Says where the cluster is, inside a pod. */
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
}

/** Reads the credentials and makes a client; no call is made. Rejects with `KUBE_CONFIG_INVALID`. */
export async function connectKubernetes(options: ConnectOptions): Promise<KubeClient> {
  const { kubeconfig, nodeName, environment, log } = options;
  const access = kubeconfig === "" ? await inCluster(environment) : await fromKubeconfig(kubeconfig);
  return new KubeClient({ access, nodeName, log });
}
