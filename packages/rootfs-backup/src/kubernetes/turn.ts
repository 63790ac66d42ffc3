import { isAeonError } from "@aeon/core";
import { parseAny, type Kubernetes } from "@aeon/kube";
import { leasesPath, parseLease, type Lease } from "./leases.ts";

/** The lease of the agent that looks after lost nodes. */
const turnName = "lost-nodes";

/**
 * Lets one agent of the cluster at a time do something. Whether another one still does is judged by whether its lease
 * changes, with this node's clock alone: no two clocks are compared.
 */
export class Turn {
  readonly #kubernetes: Kubernetes;
  readonly #lapseMs: number;
  #seen: { readonly version: string; readonly at: number } | undefined;

  constructor(kubernetes: Kubernetes, lapseMs: number) {
    this.#kubernetes = kubernetes;
    this.#lapseMs = lapseMs;
  }

  /** Whether it is this node's turn; takes or keeps it. */
  async take(signal: AbortSignal): Promise<boolean> {
    const { nodeName, agentNamespace } = this.#kubernetes;
    const collection = leasesPath(agentNamespace);
    const path = `${collection}/${turnName}`;
    const lease = await this.#kubernetes.get(path, parseLease, signal);
    try {
      if (lease === undefined) {
        await this.#kubernetes.create(collection, this.#body(undefined), parseAny, signal);
        return true;
      }
      if (lease.spec.holderIdentity !== nodeName && !this.#hasLapsed(lease)) return false;
      await this.#kubernetes.replace(path, this.#body(lease), parseAny, signal);
      return true;
    } catch (error) {
      // Somebody was faster.
      if (isAeonError(error, "KUBE_CONFLICT")) return false;
      throw error;
    }
  }

  #hasLapsed({ metadata }: Lease): boolean {
    const version = metadata.resourceVersion;
    if (this.#seen?.version !== version) this.#seen = { version, at: performance.now() };
    return performance.now() - this.#seen.at > this.#lapseMs;
  }

  #body(lease: Lease | undefined) {
    const { nodeName, agentNamespace } = this.#kubernetes;
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name: turnName,
        namespace: agentNamespace,
        ...(lease && { resourceVersion: lease.metadata.resourceVersion }),
      },
      spec: {
        holderIdentity: nodeName,
        leaseDurationSeconds: Math.max(1, Math.ceil(this.#lapseMs / 1000)),
        renewTime: new Date().toISOString().replace(/(\.\d{3})Z$/, "$1000Z"),
      },
    };
  }
}
