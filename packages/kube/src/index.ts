import type { KubeClient } from "./client.ts";
import type { ConnectOptions } from "./connect.ts";

export type { ConnectOptions, KubeClient };
export { kubernetes, type Apply, type KubeEvent, type Kubernetes, type LeaseClaim } from "./kubernetes.ts";
export {
  metadataSchema,
  parseAny,
  parserOf,
  type KubeObject,
  type Metadata,
  type ObjectReference,
  type ParseObject,
} from "./objects.ts";
export { kubernetesPlugin } from "./plugin.ts";
export type { Watch, WatchCounts, WatchOptions } from "./watch/watch-options.ts";

/** Connects to a cluster; the code for it is loaded by the first call. */
export const connectKubernetes = async (options: ConnectOptions): Promise<KubeClient> =>
  (await import("./connect.ts")).connectKubernetes(options);
