import { stringify } from "smol-toml";
import { containerdPaths } from "./containerd-config.ts";
import { standalonePaths } from "./standalone-paths.ts";

/** The agent's configuration for a standalone folder: no Kubernetes, POSIX store, every container is backed up. */
export function agentConfig(root: string, metricsAddress: string): string {
  const paths = standalonePaths(root);
  return stringify({
    version: 1,
    root: paths.agentRoot,
    state: paths.run,
    log: { format: "json" },
    metrics: { address: metricsAddress },
    containerd: { address: containerdPaths(paths.containerd).socket, namespaces: ["*"] },
    snapshotter: { socket: paths.snapshotterSocket, root: paths.snapshots },
    backup: { "default-policy": "all", store: { type: "posix", path: paths.store } },
  });
}
