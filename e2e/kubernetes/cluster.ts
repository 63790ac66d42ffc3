import { join } from "node:path";
import { bundlePrograms } from "@aeon/standalone";
import {
  createClusterNetwork,
  startControlPlane,
  startNode,
  temporaryFolder,
  testCache,
  type ClusterNetwork,
  type ClusterNode,
  type ControlPlane,
  type NodeOptions,
} from "@aeon/testkit";

/** A cluster on this machine, to which nodes are added. */
export interface TestCluster extends AsyncDisposable {
  readonly server: ControlPlane;
  readonly network: ClusterNetwork;
  /** Folder of the store that all nodes share, as an NFS mount would be. */
  readonly store: string;
  readonly programs: { readonly agent: string; readonly aeonctl: string };
  /** Adds a node that is owned by the cluster. */
  addNode(name: string, options?: Partial<NodeOptions>): Promise<ClusterNode>;
}

export const nodeNames = ["node-a", "node-b"] as const;

/** Starts the control plane on a bridge of its own. */
export async function startCluster(): Promise<TestCluster> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder("k8s"));
  const programs = await bundlePrograms({
    workspace: join(import.meta.dirname, "../.."),
    target: join(folder.path, "programs"),
    lock: join(testCache, "bundle.lock"),
    signal: new AbortController().signal,
  });
  const network = stack.use(await createClusterNetwork());
  const server = stack.use(await startControlPlane({ address: network.gateway, nodes: nodeNames }));
  const store = join(folder.path, "store");
  const nodes = stack.use(new AsyncDisposableStack());
  let index = 0;
  const owned = stack.move();
  return {
    server,
    network,
    store,
    programs,
    async addNode(name, options = {}) {
      index += 1;
      return nodes.use(
        await startNode({
          name,
          index,
          cluster: server,
          network,
          agent: programs.agent,
          ...options,
          config: {
            backup: { "default-policy": "all", store: { type: "posix", path: store } },
            ...options.config,
          },
        }),
      );
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
