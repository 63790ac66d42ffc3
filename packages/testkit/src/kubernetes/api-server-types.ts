import type { ApiClient } from "./api-client.ts";
import type { Etcd } from "./etcd.ts";

/** A user that a token names, with its groups. */
export interface ClusterUser {
  readonly name: string;
  readonly groups?: readonly string[];
}

export interface ApiServerOptions {
  /** Address to listen on, which must exist; loopback when absent. */
  readonly address?: string;
  /** Users besides admin, the control plane's and the nodes'; each gets a token. */
  readonly users?: readonly ClusterUser[];
  /** Names of nodes that get a token of their own with the Node authorizer's rights. */
  readonly nodes?: readonly string[];
  /** Refuses pods without ServiceAccount and mounts tokens, as clusters do; needs the controller manager. */
  readonly serviceAccounts?: boolean;
  /** More flags for kube-apiserver. */
  readonly flags?: readonly string[];
}

/** A cluster's API server, as its administrator has it. */
export interface Cluster extends AsyncDisposable {
  readonly url: string;
  readonly caFile: string;
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Folder of its files, gone on disposal. */
  readonly folder: string;
  /** Calls as administrator. */
  readonly admin: ApiClient;
  /** Whether it was started for the tests, so that they may stop it; otherwise it was there before. */
  readonly isOwn: boolean;
  /** Writes a kubeconfig for a user that was named at the start. */
  kubeconfigOf(user: string): Promise<string>;
  /** A token by TokenRequest, bound to a pod when one is named; the account must exist. */
  serviceAccountToken(namespace: string, name: string, options?: TokenOptions): Promise<string>;
  /** Writes a kubeconfig that calls as a ServiceAccount. */
  serviceAccountKubeconfig(namespace: string, name: string): Promise<string>;
  /** Runs kubectl as administrator and answers its standard output. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
}

/** A real API server on an etcd of its own: RBAC, Node authorizer, ServiceAccount tokens with audiences. */
export interface ApiServer extends Cluster {
  readonly isOwn: true;
  readonly etcd: Etcd;
  /** Process id; undefined while it is down. */
  readonly pid: number | undefined;
  /** Signs the tokens of ServiceAccounts. */
  readonly signingKeyFile: string;
  /** The token of a user that was named at the start. */
  tokenOf(user: string): string;
  /** Ends the server at once; etcd keeps what was written. */
  kill(): Promise<void>;
  /** Brings it up again on the same port with the same keys. */
  start(): Promise<void>;
  logTail(lines?: number): Promise<string>;
}

export interface TokenOptions {
  readonly audiences?: readonly string[];
  /** At least 600. */
  readonly seconds?: number;
  readonly pod?: { readonly name: string; readonly uid: string };
}
