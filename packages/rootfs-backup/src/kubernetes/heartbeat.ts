import { errorMessage, Lifetime, type Logger } from "@aeon/core";
import type { Kubernetes } from "@aeon/kube";
import { labelValue, nodeLabel } from "./api.ts";

export interface HeartbeatOptions {
  readonly kubernetes: Kubernetes;
  readonly log: Logger;
}

/** The name of a node's lease. */
export const heartbeatName = (node: string): string => `node-${labelValue(node)}`.slice(0, 253);

/** On leases of nodes. */
export const agentLabel = "backup.container.io/agent";

/** Tells the cluster again and again that this node's agent lives; a lapse of three beats means that it does not. */
export class Heartbeat implements AsyncDisposable {
  readonly #options: HeartbeatOptions;
  readonly #life = new Lifetime();
  #beating: Promise<void> | undefined;
  #isFailing = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    const timer = setInterval(() => this.#tick(), options.kubernetes.heartbeatMs).unref();
    this.#life.defer(async () => {
      clearInterval(timer);
      await this.#beating;
    });
    this.#tick();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#life[Symbol.asyncDispose]();
  }

  #tick(): void {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined;
    });
  }

  async #beat(): Promise<void> {
    const { kubernetes, log } = this.#options;
    const { nodeName, agentNamespace, heartbeatMs } = kubernetes;
    try {
      await kubernetes.renewLease(
        {
          namespace: agentNamespace,
          name: heartbeatName(nodeName),
          holder: nodeName,
          seconds: Math.max(1, Math.ceil((3 * heartbeatMs) / 1000)),
          labels: { [agentLabel]: "true", [nodeLabel]: labelValue(nodeName) },
        },
        this.#life.signal,
      );
      this.#isFailing = false;
    } catch (error) {
      if (this.#life.signal.aborted || this.#isFailing) return;
      this.#isFailing = true;
      log.warn({ error: errorMessage(error) }, "the cluster is not told that this node's agent lives");
    }
  }
}
