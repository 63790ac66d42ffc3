import { hostname } from "node:os";
import { definePlugin, duration, Lifetime, tokenReviewer, type Plugin } from "@aeon/core";
import * as v from "valibot";
import { kubernetes } from "./kubernetes.ts";

const table = v.strictObject({
  kubeconfig: v.optional(
    v.pipe(v.string(), v.description("path of a kubeconfig; empty: the ServiceAccount of the agent's pod")),
    "",
  ),
  "node-name": v.optional(
    v.pipe(
      v.string(),
      v.description("name of this node in the cluster; empty: $NODE_NAME, then the host name"),
    ),
    "",
  ),
  namespace: v.optional(
    v.pipe(
      v.string(),
      v.description(
        "where the agents keep their leases; empty: the namespace of the agent's pod, else aeon-system",
      ),
    ),
    "",
  ),
  heartbeat: v.optional(
    v.pipe(
      duration(),
      v.check((ms) => ms >= 1000 && ms <= 300_000, "Expected 1s to 5m"),
      v.description(
        "how often the cluster is told that this node's agent lives; after three times as long without it, the node counts as lost",
      ),
    ),
    "20s",
  ),
});

/** The table `[kubernetes]`; without it the agent has no Kubernetes. */
export const kubernetesConfig = v.optional(table);

/**
 * Offers the cluster to other plugins where `[kubernetes]` is configured. Starting makes no call: an API server that
 * is down delays nothing.
 */
export const kubernetesPlugin = (environment: NodeJS.ProcessEnv): Plugin<typeof kubernetesConfig> =>
  definePlugin({
    name: "kubernetes",
    config: kubernetesConfig,
    async start(context) {
      const { config, log } = context;
      const life = new Lifetime();
      if (config === undefined) return life;
      const { connectKubernetes } = await import("./connect.ts");
      const nodeName = config["node-name"] || environment["NODE_NAME"] || hostname();
      const client = life.use(
        await connectKubernetes({
          kubeconfig: config.kubeconfig,
          nodeName,
          heartbeatMs: config.heartbeat,
          ...(config.namespace !== "" && { agentNamespace: config.namespace }),
          environment,
          log,
        }),
      );
      context.provide(kubernetes, client);
      context.provide(tokenReviewer, client.tokens);
      context.onReload(async (next) =>
        (["kubeconfig", "node-name", "namespace", "heartbeat"] as const).filter(
          (key) => next?.[key] !== config[key],
        ),
      );
      return life;
    },
  });
